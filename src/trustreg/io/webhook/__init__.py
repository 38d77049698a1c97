"""``trustreg admission serve``: what stands between a cluster and the judging of images."""
