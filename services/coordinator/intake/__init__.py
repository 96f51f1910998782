"""IntakeService: instances become durable rows, many in one transaction."""
