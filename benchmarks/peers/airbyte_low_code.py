"""A low-code source on airbyte-cdk: ``python -m benchmarks.peers.airbyte_low_code read --config FILE --catalog FILE``.

Airbyte's documentation recommends this form for REST APIs. The manifest would be a YAML file; here it is a dictionary.
"""

from __future__ import annotations

import sys
from typing import Any

from airbyte_cdk.entrypoint import AirbyteEntrypoint, launch
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource

from benchmarks.schema import PAYMENTS

MANIFEST: dict[str, Any] = {
    "version": "6.0.0",
    "type": "DeclarativeSource",
    "check": {"type": "CheckStream", "stream_names": ["payments"]},
    "streams": [
        {
            "type": "DeclarativeStream",
            "name": "payments",
            "primary_key": ["id"],
            "schema_loader": {"type": "InlineSchemaLoader", "schema": PAYMENTS},
            "retriever": {
                "type": "SimpleRetriever",
                "requester": {
                    "type": "HttpRequester",
                    "url_base": "{{ config['api_url'] }}",
                    "path": "/payments",
                    "http_method": "GET",
                },
                "record_selector": {
                    "type": "RecordSelector",
                    "extractor": {"type": "DpathExtractor", "field_path": ["data"]},
                },
                "paginator": {
                    "type": "DefaultPaginator",
                    "page_token_option": {
                        "type": "RequestOption",
                        "inject_into": "request_parameter",
                        "field_name": "page",
                    },
                    "page_size_option": {
                        "type": "RequestOption",
                        "inject_into": "request_parameter",
                        "field_name": "limit",
                    },
                    "pagination_strategy": {
                        "type": "PageIncrement",
                        "page_size": 100,
                        "start_from_page": 1,
                        "inject_on_first_request": True,
                    },
                },
            },
        }
    ],
    "spec": {
        "type": "Spec",
        "connection_specification": {
            "type": "object",
            "required": ["api_url"],
            "properties": {"api_url": {"type": "string"}},
        },
    },
}


def main(arguments: list[str]) -> None:
    """Run the source."""
    parsed = AirbyteEntrypoint.parse_args(arguments)
    catalog, config = getattr(parsed, "catalog", None), getattr(parsed, "config", None)
    source = ConcurrentDeclarativeSource(
        catalog=ConcurrentDeclarativeSource.read_catalog(catalog) if catalog else None,
        config=ConcurrentDeclarativeSource.read_config(config) if config else None,
        state=None,
        source_config=MANIFEST,
    )
    launch(source, arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
