"""Headers of encoded images, one format a file, read before a decoder sees the image."""
