"""What TensorBoard shows of event files, asked of its own backend."""

from pathlib import Path
from typing import Any


def hparams_page(folder: Path) -> dict[str, dict[str, Any]]:
    """The rows of the HParams page, by name: their runs, ending, hyperparameters and last metrics."""
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    context = backend_context.Context(TBContext(data_provider=MultiplexerDataProvider(multiplexer, str(folder))))
    request = api_pb2.ListSessionGroupsRequest(
        allowed_statuses=api_pb2.Status.values(),
        start_index=0,
        slice_size=100,
        aggregation_type=api_pb2.AGGREGATION_AVG,
    )
    answer = list_session_groups.Handler(RequestContext(), context, "", request).run()
    return {
        group.name: {
            "runs": [session.name for session in group.sessions],
            "endings": [api_pb2.Status.Name(session.status) for session in group.sessions],
            "hparams": {name: getattr(value, value.WhichOneof("kind")) for name, value in group.hparams.items()},
            "metrics": {metric.name.tag: metric.value for metric in group.metric_values},
        }
        for group in answer.session_groups
    }
