"""What is measured on networks and their images: accuracy, baselines, representations, interventions."""
