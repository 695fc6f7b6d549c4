//! Noise drawn from a model beside held-out noise.
