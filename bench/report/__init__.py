"""What is shown of many results: the heatmap, the comparison of strategies, the recommended checkpoints and the page."""
