"""Where binaries, images and packages come from: the catalogue, the sources, the cache, the depot."""
