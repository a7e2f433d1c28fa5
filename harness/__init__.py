"""A version-matrix regression harness for the Hugging Face quantization stack."""
