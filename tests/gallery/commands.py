"""The commands behind the pictures, word for word as the README gives them, after ``python -m tomoalign_core``."""

SIMULATE = "simulate scan.h5 --sample easy --views 120"
MOVE = "simulate moved.h5 --scan savu_24737.npz --dx-sigma 4 --dy-sigma 1"
SWEEP = (
    "train --preset quick --name sweep --epochs 5 --steps-per-epoch 20 --batch 1 "
    "--grid train.learning_rate=3e-4,3e-3 --grid model.channels=4,16"
)
REPORT = "report scan.h5 --method network --method center-of-mass --out report.html"
