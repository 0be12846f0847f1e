"""Sentences for the demo, and sentences of other kinds than a translator of captions has learned from."""

SAMPLES = (
    "Two young girls are playing with lego bricks.",
    "A dog with a stick in its mouth runs along the beach.",
    "I don't know where Tom is, but he will be back at 7:30.",
)

CONTRACT = (
    "The parties hereby agree that this contract shall be governed by the laws of the State of Delaware.",
    "Neither party shall be liable for any failure to perform its obligations due to force majeure.",
    "The licensee shall indemnify the licensor against all claims arising from the use of the software.",
    "This agreement may be terminated by either party upon thirty days' written notice.",
    "All notices under this agreement must be given in writing and delivered by registered mail.",
    "The tenant shall pay the security deposit in full prior to the commencement date of the lease.",
    "Any dispute arising out of this contract shall be settled by binding arbitration.",
    "The supplier warrants that the goods will be free from defects in material and workmanship.",
    "Payment is due within sixty days of receipt of the invoice, net of applicable taxes.",
    "The confidential information shall remain the exclusive property of the disclosing party.",
)
"""Of the kind that contracts have; written for this file."""

POEM = (
    "Shall I compare thee to a summer's day?",
    "Rough winds do shake the darling buds of May, and summer's lease hath all too short a date.",
    "When, in disgrace with fortune and men's eyes, I all alone beweep my outcast state.",
    "Tyger Tyger, burning bright, in the forests of the night.",
    "What immortal hand or eye, could frame thy fearful symmetry?",
    "I wandered lonely as a cloud that floats on high o'er vales and hills.",
    "Season of mists and mellow fruitfulness, close bosom-friend of the maturing sun.",
    "Because I could not stop for Death, He kindly stopped for me.",
    "My heart aches, and a drowsy numbness pains my sense, as though of hemlock I had drunk.",
    "Look on my Works, ye Mighty, and despair!",
)
"""Shakespeare, Blake, Wordsworth, Keats, Dickinson, Shelley: in the public domain."""
