// What a site's processes know of their endpoint, the endpoint knows, too.
@_exported public import TroupeEndpointClient
