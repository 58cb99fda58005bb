"""What two pages share: the router guard, live charts, the run picker, words and small forms."""
