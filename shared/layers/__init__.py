"""Parts of networks, a subject a file: layers, blocks and an encoder in Keras, and random changes of images."""
