"""The parts of a conversion: what to take, what to write and under which name, and the proof."""
