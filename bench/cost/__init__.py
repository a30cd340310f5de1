"""What runs cost, before and after: closed-form work, devices, calibrated speed, budgets. Imports no numerical library."""

from bench.cost.flops import forward_flops as forward_flops
from bench.cost.flops import image_flops as image_flops
from bench.cost.flops import training_flops as training_flops
