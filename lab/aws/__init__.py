"""The lab's AWS: moto, made as strict and as slow as AWS where it is laxer, with switches for faults."""
