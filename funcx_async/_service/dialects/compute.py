"""Today's dialect, that of Globus Compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from funcx_async._net.environments import COMPUTE, Deployments
from funcx_async._service.answers import Submitted, read
from funcx_async._service.dialects.shared import (
    EndpointOptions,
    Options,
    Order,
    Post,
    Request,
    user_agent,
)
from funcx_async._service.registration import DIALECT_VERSION, Registration
from funcx_async.models import Receipt
from funcx_async.serialize.strategy import SerializationStrategy


@dataclass(frozen=True)
class Compute:
    """Today's dialect, ``v3``."""

    deployments: Deployments = COMPUTE
    user_agent: str = user_agent("globus-compute-sdk", DIALECT_VERSION)
    sdk_name: str = "globus-compute-sdk"
    sdk_version: str = DIALECT_VERSION
    code_strategy: type[SerializationStrategy] | None = None
    takes_options: bool = True
    reading_consumes: bool = False

    def new_task_group(self) -> None:
        """None: the service makes its groups itself."""

    def check_container(self, container_id: str | None) -> None:
        """Refuse any container: there are none any more."""
        if container_id is not None:
            raise ValueError(
                "container_id: today's service (api='v3') has no containers; the endpoint's "
                "configuration says where functions run."
            )

    def check_options(self, options: Options) -> None:
        """Take all."""

    def registration(self, registration: Registration) -> Post:
        """What is not set is not sent."""
        self.check_container(registration.container_uuid)
        return Post("/v3/functions", registration.body())

    def submit(self, order: Order) -> Post:
        """The endpoint is in the path, the tasks are grouped by function."""
        body: dict[str, Any] = {"create_queue": order.create_queue, "tasks": order.tasks}
        optional = {
            "task_group_id": order.task_group_id,
            "resource_specification": order.resource_specification,
            "user_endpoint_config": order.user_endpoint_config,
            "user_runtime": order.user_runtime,
            "result_serializers": order.result_serializers,
        }
        body |= {name: value for name, value in optional.items() if value}
        return Post(f"/v3/endpoints/{order.endpoint_id}/submit", body)

    def receipt(self, answer: bytes, order: Order, what: str) -> Receipt:
        """The ids come by function."""
        submitted = read(answer, Submitted, what)
        return Receipt(
            submitted.task_group_id,
            submitted.tasks,
            submitted.request_id,
            warning=submitted.ha_warning,
        )

    def endpoint_registration(
        self, name: str, endpoint_id: str | None, options: EndpointOptions
    ) -> Request:
        """What is not set is not sent; an endpoint that has an id is registered anew."""
        switches = {
            "public": options.get("public"),
            "high_assurance": options.get("high_assurance"),
        }
        told = {
            "display_name": options.get("display_name"),
            "multi_user": options.get("multi_user"),
            "metadata": options.get("metadata"),
            "allowed_functions": options.get("allowed_functions"),
            "authentication_policy": options.get("auth_policy"),
            "subscription_uuid": options.get("subscription_id"),
            "admins": options.get("admins"),
        }
        body: dict[str, Any] = {"endpoint_name": name}
        body |= {key: value for key, value in told.items() if value}
        body |= {key: value for key, value in switches.items() if value is not None}
        if endpoint_id is None:
            return Request("POST", "/v3/endpoints", body)
        return Request("PUT", f"/v3/endpoints/{endpoint_id}", body)

    def lock(self, endpoint_id: str) -> Request:
        """There is nothing to say besides."""
        return Request("POST", f"/v3/endpoints/{endpoint_id}/lock", None)
