"""Each error that a service's model declares, brought about and caught as the client's own exception, from two tables.

A test class has `client`, `provoked` (operation → exception → arguments), `never` ((exception, why) → operations) and `served()`.
"""

from contextlib import contextmanager
from dataclasses import dataclass

from botocore import xform_name
from botocore.exceptions import ClientError


def operations_served(powerless, unknown):
    """The operations of a client's model that the server does not answer with the code `unknown`.

    Each is called, without arguments: the client's key may nothing, and the client lets its arguments be wrong.
    """
    served = []
    for operation in powerless.meta.service_model.operation_names:
        try:
            getattr(powerless, xform_name(operation))()
        except ClientError as error:
            if error.response["Error"]["Code"] == unknown:
                continue
        served.append(operation)
    return served


@dataclass
class Twice:
    """Two requests that a client sends as attempts of one call, though they differ: the second is refused."""

    first: dict
    second: dict
    # The operation of the first, when it is another.
    by: str = ""


@contextmanager
def same_call(client, id):
    """Every request of the client is an attempt of one call, as far as the client's own mark of it says."""
    def mark(request, **_):
        request.headers["amz-sdk-invocation-id"] = id
    client.meta.events.register("before-send", mark)
    try:
        yield
    finally:
        client.meta.events.unregister("before-send", mark)


class Typed:
    # The status of an error for which the model names none.
    status = 400
    # Words that stand in arguments for what is only known when the test runs.
    words = {}

    def declared(self):
        """Exceptions by operation, each with the status that the model gives it."""
        model = self.client.meta.service_model
        return {name: {shape.name: shape.metadata.get("error", {}).get("httpStatusCode", self.status)
                       for shape in model.operation_model(name).error_shapes} for name in self.served()}

    def call(self, operation, _arguments):
        """What is called, with which the arguments may have a say."""
        return getattr(self.client, xform_name(operation))

    def filled(self, arguments):
        return {name: self.words.get(value, value) if isinstance(value, str) else value for name, value in arguments.items()}

    def test_every_declared_error_is_raised_as_the_client_s_own_exception(self):
        told = 0
        for operation, errors in sorted(self.declared().items()):
            for exception, arguments in self.provoked.get(operation, {}).items():
                call = self.call(operation, arguments)
                with self.subTest(operation, error=exception):
                    if isinstance(arguments, Twice):
                        with same_call(self.client, f"{operation}-twice"):
                            self.call(arguments.by or operation, arguments)(**self.filled(arguments.first))
                            answer = self.refused(exception, call, **self.filled(arguments.second))
                    else:
                        answer = self.refused(exception, call, **self.filled(arguments))
                    self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], errors.get(exception))
                    self.assertTrue(answer["Error"]["Message"])
                    told += 1
        print(f"\n{type(self).__qualname__}: {told} errors raised as their types")

    def test_nothing_declared_is_left_out_and_nothing_else_is_claimed(self):
        declared = {(operation, error) for operation, errors in self.declared().items() for error in errors}
        provoked = {(operation, error) for operation, errors in self.provoked.items() for error in errors}
        explained = set()
        for (error, why), operations in self.never.items():
            self.assertTrue(why.endswith("."), why)
            those = {(operation, error) for operation in operations} or {pair for pair in declared if pair[1] == error}
            self.assertTrue(those, f"{error} is explained, but declared nowhere")
            self.assertEqual(explained & those, set(), "explained twice")
            explained |= those
        self.assertEqual(declared - provoked - explained, set(), "declared, but neither provoked nor explained")
        self.assertEqual((provoked | explained) - declared, set(), "provoked or explained, but not declared")
        self.assertEqual(provoked & explained, set(), "provoked, and said not to be")
