"""Files and coordinates: intervals, FASTA, bigWig, gene tables, splits. No torch."""
