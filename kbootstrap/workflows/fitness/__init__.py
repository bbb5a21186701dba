"""Whether hosts are fit to become, or to stay, a cluster: pure judgements over what was read from them."""
