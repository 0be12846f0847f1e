"""Writing sequences: beam search and sampling for any network that does so, and the captioner, which uses both."""
