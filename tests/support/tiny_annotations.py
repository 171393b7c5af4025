"""Annotations as their makers write them: Ensembl, GENCODE, NCBI, StringTie with gffread, Prokka, FlyBase."""

from __future__ import annotations


def _line(chrom: str, kind: str, start: int, end: int, *, strand: str, told: str) -> str:
    return f"{chrom}\tx\t{kind}\t{start}\t{end}\t.\t{strand}\t.\t{told}\n"


def _gff3(rows: str) -> str:
    lines = []
    for row in rows.strip().splitlines():
        chrom, kind, start, end, strand, told = row.split(maxsplit=5)
        lines.append(_line(chrom, kind, int(start), int(end), strand=strand, told=told))
    return "##gff-version 3\n" + "".join(lines)


ENSEMBL_GFF3 = _gff3("""
1 chromosome 1 5000 . ID=chromosome:1;Alias=CM000663.2,chr1,NC_000001.11
1 gene 101 900 + ID=gene:ENSG00000000001;Name=AAA;biotype=protein_coding;gene_id=ENSG00000000001;version=7
1 mRNA 101 900 + ID=transcript:ENST00000000001;Parent=gene:ENSG00000000001
1 exon 101 300 + Parent=transcript:ENST00000000001;Name=ENSE1
1 ncRNA_gene 1201 1300 - ID=gene:ENSG00000000002;biotype=miRNA;gene_id=ENSG00000000002;version=1
1 miRNA 1201 1300 - ID=transcript:ENST00000000002;Parent=gene:ENSG00000000002
1 pseudogene 2001 2500 - ID=gene:ENSG00000000003;Name=CCC%2C1;biotype=pseudogene;gene_id=ENSG00000000003
1 pseudogenic_transcript 2001 2500 - ID=transcript:ENST00000000003;Parent=gene:ENSG00000000003
""")

NCBI_GFF3 = "##sequence-region NC_000001.11 1 5000\n" + _gff3("""
NC_000001.11 region 1 5000 + ID=NC_000001.11:1..5000;Dbxref=taxon:9606;Name=1;chromosome=1;genome=chromosome
NC_012920.1 region 1 900 + ID=NC_012920.1:1..900;Dbxref=taxon:9606;genome=mitochondrion
NC_000001.11 pseudogene 11 90 + ID=gene-DDX11L1;Dbxref=GeneID:100287102,HGNC:HGNC:37102;Name=DDX11L1;gene=DDX11L1
NC_000001.11 gene 101 900 - ID=gene-WASH7P;Dbxref=GeneID:653635;Name=WASH7P;gene=WASH7P;gene_biotype=lncRNA
NC_000001.11 lnc_RNA 101 900 - ID=rna-NR_024540.1;Parent=gene-WASH7P;gene=WASH7P
NC_000001.11 exon 101 300 - ID=exon-NR_024540.1-1;Parent=rna-NR_024540.1;gene=WASH7P
NC_000001.11 cDNA_match 101 300 + ID=match-1;Target=NM_1 1 200 +
NC_012920.1 gene 301 400 + ID=gene-TRNF;Dbxref=GeneID:4558;Name=TRNF;gene=TRNF
NC_012920.1 tRNA 301 400 + ID=rna-TRNF;Parent=gene-TRNF
""")

GENCODE_GFF3 = _gff3("""
chrX gene 101 900 + ID=ENSG00000000001.5;gene_id=ENSG00000000001.5;gene_type=protein_coding;gene_name=AAA
chrX transcript 101 900 + ID=ENST1;Parent=ENSG00000000001.5;gene_id=ENSG00000000001.5;gene_name=AAA
chrY gene 11 810 + ID=ENSG00000000001.5_PAR_Y;gene_id=ENSG00000000001.5_PAR_Y;gene_name=AAA
""")

# gffread of StringTie: transcripts without gene lines, children before their parents, one gene in two transcripts
GFFREAD_GFF3 = _gff3("""
chr1 exon 1001 1100 - Parent=MSTRG.1.2
chr1 transcript 901 1500 - ID=MSTRG.1.1;geneID=MSTRG.1;gene_name=new
chr1 exon 901 1500 - Parent=MSTRG.1.1
chr1 transcript 1001 1800 - ID=MSTRG.1.2;geneID=MSTRG.1;gene_name=new
chr2 transcript 11 50 + ID=MSTRG.2.1;geneID=MSTRG.2
chr2 exon 11 50 + Parent=MSTRG.2.1
""")

PROKKA_GFF3 = (
    _gff3("""
contig_1 CDS 101 400 + ID=PRK_00001;inference=ab initio;locus_tag=PRK_00001;gene=thrA;product=kinase
contig_1 tRNA 501 580 - ID=PRK_00002;locus_tag=PRK_00002;product=tRNA-Leu
contig_1 CRISPR 601 700 . ID=CR1;note=repeat
""")
    + "##FASTA\n>contig_1\nACGT\n"
)

FLYBASE_GFF3 = _gff3("""
2L gene 101 900 + ID=FBgn0000001;Name=abc
2L pseudogene 101 900 + ID=FBtr0000001;Parent=FBgn0000001
2L exon 101 900 + Parent=FBtr0000001
2L operon 1001 3000 + ID=op1
2L gene 1001 2000 + ID=FBgn0000002;Parent=op1
2L mRNA 1001 2000 + ID=FBtr0000002;Parent=FBgn0000002
""")

# The gene line of gene-G2 was filtered out; its children still name it.
ORPHANS_GFF3 = _gff3("""
chr1 gene 101 900 + ID=gene-G1;Name=G1
chr1 mRNA 1001 1900 - ID=rna-2;Parent=gene-G2
chr1 exon 1001 1200 - ID=exon-1;Parent=rna-2
""")


def gtf(*rows: tuple[str, str, int, int, str, str]) -> str:
    """GTF of rows chrom, feature, start, end, strand, gene id; an empty id gives a line without the attribute."""
    named = 'gene_id "{0}"; gene_name "{0}n";'
    return "".join(
        _line(chrom, kind, start, end, strand=strand, told=named.format(gene) if gene else 'tag "x";')
        for chrom, kind, start, end, strand, gene in rows
    )
