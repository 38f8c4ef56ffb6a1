"""What is measured on running engines: accuracy, speed, memory, compliance, samples, the system itself."""
