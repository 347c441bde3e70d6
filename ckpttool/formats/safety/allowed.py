"""The constructors of data: what a pickle may call without a finding, and with which arguments.

The table is all that is known to be harmless. Names are exact: a module, and an attribute of it
as it is spelled here. :func:`ckpttool.formats.safety.kinds.signatures` explains the arguments; an
instance may also be made without arguments (``NEWOBJ``), whatever the row says.

Behind the arguments is what may be done to the result:

``+attributes``
    BUILD with a dictionary of attributes;
``+fields``
    with ``+attributes``: the class's methods call attributes, so none of them may be a function;
``+state``
    BUILD with another state, which the class's own ``__setstate__`` takes; only data in it;
``+slots``
    BUILD with ``(None, {...})``, the attributes of a class with ``__slots__``;
``+partial``
    the state of a partial, whatever its function and arguments are;
``+stores``
    with ``+state``: the class only stores what the state holds, so it may hold anything;
``+items``, ``+append``, ``+add``
    SETITEMS, APPENDS, ADDITEMS.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Iterable, Sequence

from ckpttool.formats.safety.kinds import DATA, Signature, signatures

# Those of every release from 3.8 on. Their constructors only store the arguments.
_EXCEPTIONS = """
    ArithmeticError AssertionError AttributeError BaseException BlockingIOError BrokenPipeError
    BufferError BytesWarning ChildProcessError ConnectionAbortedError ConnectionError
    ConnectionRefusedError ConnectionResetError DeprecationWarning EOFError EncodingWarning
    Exception FileExistsError FileNotFoundError FloatingPointError FutureWarning GeneratorExit
    IOError ImportError ImportWarning IndexError InterruptedError IsADirectoryError KeyError
    KeyboardInterrupt LookupError MemoryError ModuleNotFoundError NameError NotADirectoryError
    NotImplementedError OSError OverflowError PendingDeprecationWarning PermissionError
    ProcessLookupError PythonFinalizationError RecursionError ReferenceError ResourceWarning
    RuntimeError RuntimeWarning StopAsyncIteration StopIteration SyntaxWarning SystemError
    SystemExit TimeoutError TypeError UnboundLocalError UnicodeError UnicodeWarning UserWarning
    ValueError Warning ZeroDivisionError
"""
# What follows is spelled under two modules each, by different releases of Python and numpy.
_PATHS = "PurePath PurePosixPath PureWindowsPath Path PosixPath WindowsPath (str/data*)"
_OPERATOR = """
    attrgetter (str*) -> function
    itemgetter (plain*) -> function
    methodcaller (str x*) -> function
    or_ and_ xor (int/set/data int/set/data)
"""
_IO = """
    BytesIO (bytes?) +state
    UnsupportedOperation (x*) +attributes
    StringIO (str? str?) +state
"""
_NUMPY_CORE = """
    scalar (data plain?)
    _reconstruct (array-type tuple text) -> array +state +stores
"""
_NUMPY_FROM_BUFFER = "_frombuffer (bytes/data data tuple text data?) -> array"
# Named tuples that torch's functions return: torch.max gives values and indices.
_RETURN_TYPES = """
    _attr _fake_quantize_per_tensor_affine_cachemask_tensor_qparams
    _fused_moving_avg_obs_fq_helper _linalg_det _linalg_det_out _linalg_eigh _linalg_eigh_out
    _linalg_slogdet _linalg_slogdet_out _linalg_solve_ex _linalg_solve_ex_out _linalg_svd
    _linalg_svd_out _lu_with_info _scaled_dot_product_cudnn_attention
    _scaled_dot_product_efficient_attention _scaled_dot_product_flash_attention
    _scaled_dot_product_flash_attention_for_cpu _unpack_dual aminmax aminmax_out cummax
    cummax_out cummin cummin_out frexp frexp_out geqrf geqrf_out histogram histogram_out
    histogramdd kthvalue kthvalue_out linalg_cholesky_ex linalg_cholesky_ex_out linalg_eig
    linalg_eig_out linalg_eigh linalg_eigh_out linalg_inv_ex linalg_inv_ex_out linalg_ldl_factor
    linalg_ldl_factor_ex linalg_ldl_factor_ex_out linalg_ldl_factor_out linalg_lstsq
    linalg_lstsq_out linalg_lu linalg_lu_factor linalg_lu_factor_ex linalg_lu_factor_ex_out
    linalg_lu_factor_out linalg_lu_out linalg_qr linalg_qr_out linalg_slogdet linalg_slogdet_out
    linalg_solve_ex linalg_solve_ex_out linalg_svd linalg_svd_out lu_unpack lu_unpack_out max
    max_out median median_out min min_out mode mode_out nanmedian nanmedian_out qr qr_out
    slogdet slogdet_out sort sort_out svd svd_out topk topk_out triangular_solve
    triangular_solve_out
"""
_OMEGACONF_NODES = """
    AnyNode BooleanNode BytesNode EnumNode FloatNode IntegerNode InterpolationResultNode PathNode
    StringNode ValueNode () +attributes
"""

#: Module to rows: names, arguments, the kind of the result (data by default), what may follow.
ROWS = {
    # --- Python -------------------------------------------------------------------------
    "builtins": f"""
        bool float object (plain?)
        int (plain? int?)
        complex (plain? number?)
        str (plain? str? str?) -> str
        bytes (str/bytes/sequence/int? str? str?) -> bytes
        bytearray (str/bytes/sequence/int? str? str?)
        list (items/text/data?) -> list +append
        tuple (items/text/data?) -> tuple
        set frozenset (items/text/data?) -> set +add
        dict (pairs?) -> dict +items
        range (int int? int?)
        slice (x x? x?)
        iter (items/text/data) +state
        reversed (sequence/str/bytes/dict/data) +state
        enumerate (items/text/data int?)
        zip (items/text/data*)
        {_EXCEPTIONS} (x*) +attributes
        SyntaxError IndentationError TabError (str? tuple?) +attributes
        UnicodeDecodeError UnicodeEncodeError UnicodeTranslateError (plain*) +attributes
        ExceptionGroup BaseExceptionGroup (str list/tuple/holder) +attributes
    """,
    "collections": """
        OrderedDict (pairs?) -> dict +items +attributes
        defaultdict (none/name/function? pairs?) -> dict +items +attributes
        Counter (pairs?) -> dict +items +attributes
        deque (items? int/none?) +append +attributes
        ChainMap UserDict UserList UserString (plain*) +attributes
    """,
    "array": """
        array (str/bytes sequence/bytes?) +attributes
        _array_reconstructor (array-class str int bytes) +attributes
    """,
    "datetime": """
        date (text|int int int)
        time (text x?|int? int? int? int? x?)
        datetime (text x?|int int int int? int? int? int? x?) +attributes
        timedelta (number*)
        timezone (data str?)
    """,
    "decimal": """
        Decimal (plain? x?)
        DecimalTuple (int tuple int/str)
        Context (plain/name*) +attributes
    """,
    "fractions": "Fraction (number/str? number/str?)",
    "pathlib": _PATHS,
    "pathlib._local": _PATHS,
    "uuid": """
        UUID (plain*) +attributes
        SafeUUID (int/none)
    """,
    "ipaddress": """
        IPv4Address IPv6Address (text/int) +slots
        IPv4Interface IPv6Interface IPv4Network IPv6Network (text/int/tuple bool?) +attributes
    """,
    "re": """
        _compile (text int/data)
        RegexFlag (int)
        error PatternError (str text? int/none?) +attributes
    """,
    "argparse": "Namespace () +attributes",
    "types": """
        SimpleNamespace (dict?) +attributes
        GenericAlias (x x)
    """,
    "functools": "partial (name/function/object x*) -> function +partial",
    "operator": _OPERATOR,
    "_operator": _OPERATOR,
    # Making one calls nothing, but iterating over it may call functions: so it counts as one.
    "itertools": """
        count (number? number?)
        repeat (x int?) +state
        product (plain* ) -> function +state
        permutations combinations combinations_with_replacement (plain int?) -> function +state
        chain (plain/function*) -> function +state
        cycle (plain/function) -> function +state
        islice (plain/function int/none* ) -> function +state
        accumulate (plain/function name/none? x?) -> function +state
        zip_longest (plain/function*) -> function +state
    """,
    "io": _IO,
    "_io": _IO,
    "random": "Random (plain?) +state",
    "logging": "getLogger (str/none?)",
    "statistics": "NormalDist (number? number?) +slots +state",
    "time": "struct_time (sequence dict?)",
    "zoneinfo": """
        ZoneInfo (str)
        ZoneInfo._unpickle (str bool/int)
    """,
    # results of system calls: named tuples in C, which copy their items
    "os": "stat_result statvfs_result terminal_size (sequence dict?)",
    "posix": "sched_param times_result uname_result waitid_result (sequence/int dict?)",
    "pwd": "struct_passwd (sequence dict?)",
    "grp": "struct_group (sequence dict?)",
    "resource": "struct_rusage (sequence dict?)",
    "signal": """
        Handlers Sigmasks Signals (int)
        struct_siginfo (sequence dict?)
    """,
    "platform": "uname_result (str*)",
    "shutil": "_ntuple_diskusage (int int int)",
    "difflib": "Match (int int int)",
    "urllib.parse": """
        DefragResult DefragResultBytes ParseResult ParseResultBytes SplitResult
        SplitResultBytes (text*)
    """,
    # --- enumerations: called with a value they return a member that exists --------------
    "ast": "_Precedence (int)",
    "asyncio.constants": "_SendfileMode (int)",
    "asyncio.locks": "_BarrierState (str)",
    "asyncio.runners": "_State (str)",
    "asyncio.sslproto": "AppProtocolState SSLProtocolState (str)",
    "asyncio.timeouts": "_State (str)",
    "calendar": "Day Month (int)",
    "enum": "EnumCheck FlagBoundary (str)",
    "http": "HTTPStatus HTTPMethod (int/str)",
    "inspect": """
        _ParameterKind BufferFlags (int)
        Parameter (str data) +attributes
        Signature (sequence?) +attributes
    """,
    # Errors that honest files keep beside the weights, to say how a run ended.
    "asyncio.exceptions": "CancelledError InvalidStateError TimeoutError (x*) +attributes",
    "concurrent.futures._base": "CancelledError TimeoutError (x*) +attributes",
    "json.decoder": "JSONDecodeError (str str int) +attributes",
    "numpy.linalg": "LinAlgError (x*) +attributes",
    "numpy.linalg.linalg": "LinAlgError (x*) +attributes",
    "_pickle": "PickleError PicklingError UnpicklingError (x*) +attributes",
    "pickle": "PickleError PicklingError UnpicklingError (x*) +attributes",
    "binascii": "Error Incomplete (x*) +attributes",
    "struct": "error (x*) +attributes",
    "zlib": "error (x*) +attributes",
    "numpy.exceptions": """
        ComplexWarning DTypePromotionError RankWarning TooHardError VisibleDeprecationWarning (x*)
        +attributes
    """,
    "torch.distributed": """
        DistBackendError DistError DistNetworkError DistStoreError (x*) +attributes
    """,
    "_queue": "Empty (x*) +attributes",
    "queue": "Empty Full (x*) +attributes",
    "subprocess": "CalledProcessError TimeoutExpired (x*) +attributes",
    "urllib.error": "URLError (x x?) +attributes",
    "zipfile": "BadZipFile LargeZipFile (x*) +attributes",
    "py_compile": "PycInvalidationMode (int)",
    "plistlib": "PlistFormat (int)",
    "pstats": "SortKey (sequence/str)",
    "socket": """
        AddressFamily AddressInfo MsgFlag SocketKind (int)
        gaierror herror (x*) +attributes
    """,
    "ssl": """
        AlertDescription Options Purpose SSLErrorNumber TLSVersion VerifyFlags VerifyMode
        _SSLMethod _TLSAlertType _TLSContentType _TLSMessageType (int/tuple)
    """,
    "symtable": "SymbolTableType (str)",
    # --- numpy ---------------------------------------------------------------------------
    "numpy": """
        dtype (str/name/sequence/dict/data bool/int? bool/int?) +state
        ndarray (tuple str/data) -> array +state
        bool_ (plain?)
    """,
    "numpy.core.multiarray": _NUMPY_CORE + _NUMPY_FROM_BUFFER,
    "numpy._core.multiarray": _NUMPY_CORE + _NUMPY_FROM_BUFFER,
    "numpy._core._internal": "_convert_to_stringdtype_kwargs (plain*)",
    "numpy.core.numeric": _NUMPY_FROM_BUFFER,
    "numpy._core.numeric": _NUMPY_FROM_BUFFER,
    "numpy.dtypes": "StringDType () +state",
    "numpy.ma.core": """
        _mareconstruct (array-type array-type tuple text) -> array +state
        MaskedConstant () -> array +state
    """,
    "numpy.random": "__RandomState_ctor () +state",
    "numpy.random._pickle": """
        __bit_generator_ctor (str/bit-generator?) +state
        __generator_ctor __randomstate_ctor (str/data? bit-generator-maker?) +state
    """,
    "numpy.random.bit_generator": """
        __pyx_unpickle_SeedSequence (seed-sequence int tuple/none) +state
        SeedSequence () +attributes
    """,
    # --- torch: tensors and what its own objects are made of -------------------------------
    # More than torch.load takes by default (see torch_names): it also refuses harmless names.
    "torch": """
        Size (sequence?)
        device (str int?)
        Generator (data?) +state
        Tensor ByteTensor CharTensor ShortTensor IntTensor LongTensor HalfTensor FloatTensor
        DoubleTensor BoolTensor BFloat16Tensor (plain*) -> tensor +state
        OutOfMemoryError AcceleratorError (x*) +attributes
    """,
    "torch.cuda": """
        OutOfMemoryError (x*) +attributes
        ByteTensor CharTensor ShortTensor IntTensor LongTensor HalfTensor FloatTensor
        DoubleTensor BoolTensor BFloat16Tensor (plain*) -> tensor +state
    """,
    "torch._utils": """
        _rebuild_tensor (storage int tuple tuple) -> tensor
        _rebuild_tensor_v2 (storage int tuple tuple bool x dict/none?) -> tensor
        _rebuild_tensor_v3 (storage int tuple tuple bool x name dict/none?) -> tensor
        _rebuild_parameter (tensor bool x) -> tensor
        _rebuild_sparse_tensor _rebuild_sparse_csr_tensor (none/name/data sequence) -> tensor
        _rebuild_nested_tensor (tensor tensor tensor tensor) -> tensor
        _rebuild_qtensor (storage int tuple tuple tuple bool x) -> tensor
        _rebuild_meta_tensor_no_storage (name tuple tuple bool) -> tensor
        _rebuild_device_tensor_from_numpy (array name data/str bool) -> tensor
        _rebuild_device_tensor_from_cpu_tensor (tensor name data/str bool) -> tensor
        _rebuild_xla_tensor _rebuild_mlc_tensor (array name data/str bool) -> tensor
    """,
    "torch.nn.parameter": """
        Parameter (tensor? bool?) -> tensor +state +attributes
        Buffer (tensor? bool? bool?) -> tensor +state +attributes
        UninitializedParameter UninitializedBuffer (bool? name/none? data?) -> tensor +state
    """,
    "torch.serialization": "_get_layout (str)",
    "torch._C": """
        Generator (data?) +state
        _LinAlgError (x*) +attributes
    """,
    "torch.distributed.fsdp.api": "BackwardPrefetch ShardingStrategy StateDictType (int)",
    "torch.utils.hooks": "RemovableHandle () +state",
    "torch.nn.utils.rnn": "PackedSequence (tensor tensor/none? tensor/none? tensor/none?)",
    "torch.torch_version": "TorchVersion (str)",
    # an attribute of every module in early releases; later ones return None
    "torch.nn.backends.thnn": "_get_thnn_function_backend ()",
    "torch.storage": "TypedStorage UntypedStorage () -> storage",
    "torch.distributed.tensor": "DTensor () -> tensor +attributes",
    "torch.distributed.tensor.placement_types": """
        Replicate () +attributes
        Shard (int) +attributes
        Partial (str?) +attributes
    """,
    "torch.distributed.tensor._dtensor_spec": """
        DTensorSpec () +attributes +fields +state
        TensorMeta (data tuple name) +attributes +fields +state
        ShardOrderEntry (int tuple)
    """,
    "torch.distributed._mesh_layout": "_MeshLayout _FlatLayout () +attributes +fields",
    "torch.distributed.checkpoint.metadata": """
        Metadata TensorStorageMetadata ChunkStorageMetadata BytesStorageMetadata StorageMeta
        () +attributes
        MetadataIndex () +attributes +fields
        TensorProperties () +state
        _MEM_FORMAT_ENCODING (int)
    """,
    "torch.distributed.checkpoint.filesystem": "_StorageInfo () +attributes",
    "torch.distributed._shard.sharded_tensor.metadata": """
        TensorProperties () +state
        MEM_FORMAT_ENCODING (int)
    """,
    "torch.distributed.device_mesh": "DeviceMesh () +attributes +fields",
    "torch._dynamo.decorators": "_DimRange () +state",
    "torch.nested._internal.nested_tensor": """
        NestedTensor () -> tensor +attributes
        _rebuild_njt (dict) -> tensor
    """,
    "torch.return_types": f"{_RETURN_TYPES} (sequence dict?)",
    "torch.jit._pickle": """
        build_intlist build_boollist build_doublelist build_tensorlist (sequence)
        build_tensor_from_id (int)
        restore_type_tag (plain str)
    """,
    # an attribute of the patch embedding of every vision transformer of timm, an enumeration
    "timm.layers.format": "Format (str)",
    # --- beside the weights ---------------------------------------------------------------
    "deepspeed.runtime.fp16.loss_scaler": "LossScaler DynamicLossScaler () +attributes",
    "deepspeed.runtime.zero.config": "ZeroStageEnum (int)",
    "deepspeed.utils.tensor_fragment": "fragment_address () +attributes",
    "omegaconf.base": "ContainerMetadata Metadata () +attributes",
    "omegaconf.dictconfig": "DictConfig () +attributes",
    "omegaconf.listconfig": "ListConfig () +attributes",
    "omegaconf.nodes": _OMEGACONF_NODES,
    "pytz": """
        _UTC ()
        _p (str int? int? str?)
    """,
    "dateutil.tz.tz": "tzlocal tzutc () +attributes",
}

#: Types and constants that honest pickles name as values and never call: an array's type, a
#: default. A call of one is unknown code like any other.
VALUES = {
    "builtins": "NoneType Ellipsis NotImplemented ellipsis function type memoryview",
    "types": "NoneType EllipsisType NotImplementedType FunctionType MethodType ModuleType",
    "numpy": """
        ndarray matrix recarray record chararray memmap ufunc dtype generic number integer
        inexact floating signedinteger unsignedinteger complexfloating flexible character bool_
        bool int8 int16 int32 int64
        uint8 uint16 uint32 uint64 intc uintc int_ uint longlong ulonglong float16 float32
        float64 longdouble float128 complex64 complex128 clongdouble complex256 str_ bytes_
        void object_ datetime64 timedelta64 half single double csingle cdouble long ulong
    """,
    "numpy.ma.core": "MaskedArray",
    "numpy.ma": "MaskedArray",
    "numpy.char": "chararray",
    "numpy.dtypes": """
        BoolDType ByteDType UByteDType ShortDType UShortDType IntDType UIntDType LongDType
        ULongDType LongLongDType ULongLongDType Int8DType Int16DType Int32DType Int64DType
        UInt8DType UInt16DType UInt32DType UInt64DType Float16DType Float32DType Float64DType
        LongDoubleDType Complex64DType Complex128DType CLongDoubleDType ObjectDType BytesDType
        StrDType VoidDType DateTime64DType TimeDelta64DType StringDType
    """,
    "numpy.rec": "recarray record",
    "numpy.random._mt19937": "MT19937",
    "numpy.random._pcg64": "PCG64 PCG64DXSM",
    "numpy.random._philox": "Philox",
    "numpy.random._sfc64": "SFC64",
    "numpy.random.bit_generator": "SeedSequence",
    "torch": """
        float16 float32 float64 bfloat16 half float double int8 int16 int32 int64 uint8 uint16
        uint32 uint64 short int long bool complex32 complex64 complex128 chalf cfloat cdouble
        float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu
        float4_e2m1fn_x2 qint8 quint8 qint32 quint4x2 quint2x4 bits1x8 bits2x4 bits4x2 bits8
        bits16 int1 int2 int3 int4 int5 int6 int7 uint1 uint2 uint3 uint4 uint5 uint6 uint7
        per_tensor_affine per_channel_affine per_tensor_symmetric per_channel_symmetric
        per_channel_affine_float_qparams strided sparse_coo sparse_csr sparse_csc sparse_bsr
        sparse_bsc jagged _mkldnn contiguous_format preserve_format channels_last
        channels_last_3d dtype layout memory_format qscheme ByteStorage CharStorage
        ShortStorage IntStorage LongStorage HalfStorage FloatStorage DoubleStorage BoolStorage
        BFloat16Storage ComplexFloatStorage ComplexDoubleStorage QInt8Storage QUInt8Storage
        QInt32Storage QUInt4x2Storage QUInt2x4Storage UntypedStorage
    """,
    "torch.cuda": """
        ByteStorage CharStorage ShortStorage IntStorage LongStorage HalfStorage FloatStorage
        DoubleStorage BoolStorage BFloat16Storage ComplexFloatStorage ComplexDoubleStorage
    """,
    "torch.sparse": """
        ByteTensor CharTensor ShortTensor IntTensor LongTensor HalfTensor FloatTensor
        DoubleTensor BFloat16Tensor
    """,
    "torch.cuda.sparse": """
        ByteTensor CharTensor ShortTensor IntTensor LongTensor HalfTensor FloatTensor
        DoubleTensor BFloat16Tensor
    """,
    "torch._tensor": "Tensor",
    "torch.serialization": "_MEM_FORMAT_ENCODING",
    "decimal": """
        Clamped DecimalException DivisionByZero FloatOperation Inexact InvalidOperation Overflow
        Rounded Subnormal Underflow
    """,
}


class Maker:
    """A constructor of data.

    Attributes:
        ways: the ways in which it may be called.
        gives: the kind of its result.
        follows: what may follow the call, as the module's docstring lists it.
    """

    __slots__ = ("follows", "gives", "ways")

    def __init__(self, ways: Sequence[Signature], gives: str, follows: Iterable[str]) -> None:
        self.ways = ways
        self.gives = gives
        self.follows = frozenset(follows)


#: A row of the table.
ROW = re.compile(r"([^()]+)\(([^()]*)\)(?:\s*->\s*(\w+))?((?:\s+\+\w+)*)")


# Read by module when it is first asked for: most files need three or four modules of a hundred.
@lru_cache(maxsize=None)
def makers_of(module: str) -> dict[str, Maker]:
    """Return the constructors of a module by name; empty for a module without rows."""
    return {
        name: Maker(signatures(taken), gives or DATA, follows.replace("+", "").split())
        for names, taken, gives, follows in ROW.findall(ROWS.get(module, ""))
        for name in names.split()
    }


# Their __reduce__ gives "torch.channels_last" and no module, so pickle writes the first module in
# sys.modules in which that can be looked up: any that has imported torch.
_MEMORY_FORMATS = frozenset(
    f"torch.{name}"
    for name in "contiguous_format preserve_format channels_last channels_last_3d".split()
)


# Some releases of Python pickle a member of their enumerations as the module's constant.
_OF_CONSTANTS = frozenset({"errno", "signal", "socket", "ssl"})


def is_value(module: str, name: str) -> bool:
    """Whether a name is a type or a constant that honest pickles name as a value."""
    if name in _MEMORY_FORMATS or (module == "typing" and name[:1].isupper() and "." not in name):
        return True
    constant = module in _OF_CONSTANTS and name.isupper() and "." not in name
    return constant or name in VALUES.get(module, "").split()
