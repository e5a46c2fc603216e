"""Speed and memory, against named alternatives, as ratios in one run: python -m benchmarks."""
