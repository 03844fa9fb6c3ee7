"""pGAN: the progressive, class-conditional GAN: networks, losses, growth, feeding, training, metrics and sampling.

Trains on a level A folder's pyramid and knows nothing of who runs it. What the samples are used for belongs to
``synthesize``.
"""
