"""What is in `deploy/` is what Kubernetes, Helm and Prometheus take, and fits the webhook."""
