"""Places that keep collections and sign nothing: a folder, a bucket, a registry, and what a web server shows of one."""
