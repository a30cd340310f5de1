"""Where labelled images come from: random access to arrays, files in folders, prepared TensorFlow Datasets; no TensorFlow."""
