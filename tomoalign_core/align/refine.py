"""Refinement: all movements together, by the likelihood of all views together, without a reconstruction.

Views of one object are not free of each other. By the slice theorem the Fourier transform of a view along u is that of
the object on a line through the origin, and the lines of near angles lie near each other. Let the object be a random
field without any preferred detail: uncorrelated from point to point, its variance m a function of the radius alone.
Then the transforms F of two aligned views, at frequency ω, have the covariance

    E[F_i F_j*] = S(ω) M(2 ω |sin((α_i - α_j) / 2)|),    E[F_i F_j] = S(ω) M(2 ω |cos((α_i - α_j) / 2)|)

with M(k) = ∫ m(r) J₀(k r) r dr / ∫ m(r) r dr; for a disc of radius R that is 2 J₁(k R) / (k R). S is the power spectrum
of the views, measured. So the real and the imaginary parts are independent Gaussian vectors, one matrix of views by
views each, and what a view should look like given all the others is one linear map. A movement changes a view along its
own gradients; the most likely movements of all views are one least-squares problem with that covariance as its weight
(generalised least squares), solved together for dx, dy, roll, gain and offset of every view, and again around the result.

What the views alone cannot tell well, slow movements above all, is left where the start has it: its σ is the prior.
"""
