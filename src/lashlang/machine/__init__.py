"""Running linked programs: values, builtins, the intermediate form, two back ends, frames and drivers."""
