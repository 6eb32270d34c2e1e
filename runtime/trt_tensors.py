"""Running an execution context: by binding index until TensorRT 8.4, by tensor name from 8.5 on.

Each class sets shapes and addresses, and gives the function that puts one run on a stream.
"""


class Bindings:
    """Running by binding index: TensorRT 8.0 to 8.4. Each profile has its own block of bindings."""

    def __init__(self, engine):
        self.engine = engine
        self.block = engine.num_bindings // engine.num_optimization_profiles
        self.names = [engine.get_binding_name(index) for index in range(self.block)]

    def prepare(self, context, profile, shapes, addresses):
        """Set the shapes of the inputs -> function that puts one run on a stream, given its handle, and is False where
        TensorRT refuses; None where it refuses the shapes. Its log says why."""
        pointers, start = [0] * self.engine.num_bindings, profile * self.block
        for index, name in enumerate(self.names):
            pointers[start + index] = addresses[name]
            if name in shapes and not context.set_binding_shape(start + index, shapes[name]):
                return None
        return lambda handle: context.execute_async_v2(pointers, handle)


class NamedTensors:
    """Running by tensor name: TensorRT 8.5 and later."""

    def __init__(self, engine):
        self.engine = engine

    def prepare(self, context, profile, shapes, addresses):
        """As Bindings.prepare."""
        done = [context.set_input_shape(name, shape) for name, shape in shapes.items()]
        done += [context.set_tensor_address(name, address) for name, address in addresses.items()]
        return context.execute_async_v3 if all(done) else None
