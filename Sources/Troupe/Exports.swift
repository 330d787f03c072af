@_exported public import Distributed
@_exported public import TroupeCore
@_exported public import TroupeRuntime
@_exported public import TroupeStore
