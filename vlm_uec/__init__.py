"""UEC-RL: entropy-controlled GRPO for vision-language policies on geometry."""
