"""Writers of any kind of sequence: beam search and sampling."""
