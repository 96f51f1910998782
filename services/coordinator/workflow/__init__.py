"""What is done with each study: plans, stages, queue, dispatcher, results and WorkflowService."""
