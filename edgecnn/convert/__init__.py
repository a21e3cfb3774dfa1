"""From a Keras model to a sealed `.tflite`: options, pipeline, result and proof."""
