"""Who is in front: model manifests, fetching weights, engines."""
