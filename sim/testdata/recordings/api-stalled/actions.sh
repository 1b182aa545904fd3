sleep 4
mark "the machine with the API server stands still for two minutes"
cluster pause control-plane
sleep 120
cluster resume control-plane
