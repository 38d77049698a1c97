"""What any TUF 1.0 client must do, asked of an executable over its command line and a real HTTP server."""
