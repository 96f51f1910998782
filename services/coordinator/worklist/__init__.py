"""The modality worklist, and what modalities say they did."""
