"""Facts on Python's standard library, collected from releases 3.8 to 3.14.

A test walks the library of the Python that runs it and fails on a class that is missing here.
"""

from __future__ import annotations

#: Top-level modules, private and since removed ones included. sys.stdlib_module_names has only
#: those of the running Python, but the file may be loaded by another.
MODULES = frozenset(
    """
    __future__ __phello__ _abc _aix_support _android_support _ast _ast_unparse _asyncio _bisect
    _blake2 _bootlocale _bootsubprocess _bz2 _codecs _codecs_cn _codecs_hk _codecs_iso2022
    _codecs_jp _codecs_kr _codecs_tw _collections _collections_abc _colorize _compat_pickle
    _compression _contextvars _crypt _csv _ctypes _ctypes_test _curses _curses_panel _datetime
    _dbm _decimal _dummy_thread _dummy_threading _elementtree _frozen_importlib
    _frozen_importlib_external _functools _gdbm _hashlib _heapq _hmac _imp _interpchannels
    _interpqueues _interpreters _io _ios_support _json _locale _lsprof _lzma _markupbase _md5
    _msi _multibytecodec _multiprocessing _opcode _opcode_metadata _operator _osx_support
    _overlapped _peg_parser _pickle _posixshmem _posixsubprocess _py_abc _py_warnings
    _pydatetime _pydecimal _pyio _pylong _pyrepl _queue _random _remote_debugging _scproxy _sha1
    _sha2 _sha256 _sha3 _sha512 _signal _sitebuiltins _socket _sqlite3 _sre _ssl _stat
    _statistics _string _strptime _struct _suggestions _symtable _sysconfig _testbuffer
    _testcapi _testclinic _testconsole _testexternalinspection _testimportmultiple
    _testinternalcapi _testlimitedcapi _testmultiphase _testsinglephase _thread _threading_local
    _tkinter _tokenize _tracemalloc _types _typing _uuid _warnings _weakref _weakrefset _winapi
    _wmi _xxsubinterpreters _xxtestfuzz _zoneinfo _zstd abc aifc annotationlib antigravity
    argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb binascii binhex
    bisect builtins bz2 cProfile calendar cgi cgitb chunk cmath cmd code codecs codeop
    collections colorsys compileall compression concurrent configparser contextlib contextvars
    copy copyreg crypt csv ctypes curses dataclasses datetime dbm decimal difflib dis distutils
    doctest dummy_threading email encodings ensurepip enum errno faulthandler fcntl filecmp
    fileinput fnmatch formatter fractions ftplib functools gc genericpath getopt getpass gettext
    glob graphlib grp gzip hashlib heapq hmac html http idlelib imaplib imghdr imp importlib
    inspect io ipaddress itertools json keyword lib2to3 linecache locale logging lzma macpath
    mailbox mailcap marshal math mimetypes mmap modulefinder msilib msvcrt multiprocessing netrc
    nis nntplib nt ntpath nturl2path numbers opcode operator optparse os ossaudiodev parser
    pathlib pdb pickle pickletools pipes pkgutil platform plistlib poplib posix posixpath pprint
    profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat queue quopri random re
    readline reprlib resource rlcompleter runpy sched secrets select selectors shelve shlex
    shutil signal site smtpd smtplib sndhdr socket socketserver spwd sqlite3 sre_compile
    sre_constants sre_parse ssl stat statistics string stringprep struct subprocess sunau symbol
    symtable sys sysconfig syslog tabnanny tarfile telnetlib tempfile termios test textwrap this
    threading time timeit tkinter token tokenize tomllib trace traceback tracemalloc tty turtle
    turtledemo types typing unicodedata unittest urllib uu uuid venv warnings wave weakref
    webbrowser winreg winsound wsgiref xdrlib xml xmlrpc xxlimited xxlimited_35 xxsubtype zipapp
    zipfile zipimport zlib zoneinfo
    """.split()
)

#: Names of classes whose instances run code when they get attributes or are thrown away:
#: those with ``__setstate__``, ``__del__``, ``__getattr__``, ``__getattribute__`` or a
#: ``__new__`` of their own. Without modules, since a module that imports a class has it too.
ACTING = frozenset(
    """
    ABCMeta Aifc_write Annotated Any Au_read Au_write BZ2File BaseEventLoop BaseHeader
    BaseProactorEventLoop BaseSelectorEventLoop BaseStream BaseSubprocessTransport BinaryIO
    BinaryLogStream BoundArguments BsdDbShelf BufferedIOBase BufferedRWPair BufferedRandom
    BufferedReader BufferedWriter Bytes BytesIO CodecInfo CompatibilityFiles CompleteDirs
    Connection CoroWrapper DbfilenameShelf Decimal DecompressReader DegenerateFiles
    EWWhiteSpaceTerminal Element ElementInfo Ellipsis EnumMeta EnumType ExFileObject ExtSlice
    FancyURLopener FastLookup FieldStorage FileIO FileInput Fraction Future Generic
    GzipDecodedResponse GzipFile HTTPError HTTPResponse IMAP4 IMAP4_SSL IMAP4_stream IO IOBase
    Index InitializedState IteratorWrapper KeyedRef LP_c_int LZMAFile Morsel MultiCall
    NameConstant NamedNodeMap NamedTuple NamedTupleMeta NamespaceProxy NodeList NormalDist Num
    OpenWrapper Path Pool Popen PosixPath Protocol PurePath PurePosixPath PureWindowsPath
    PyZipFile Random RawIOBase ReadOnlySequentialNamedNodeMap SSLSocket ScandirIterator
    ServerProxy SharedMemory SharedMemoryManager Shelf SocketIO SpecLoaderAdapter
    SpooledTemporaryFile Str StreamReader StreamReaderProtocol StreamReaderWriter StreamRecoder
    StreamWriter StringIO SupportsAbs SupportsBytes SupportsComplex SupportsFloat SupportsIndex
    SupportsInt SupportsRound SystemRandom Task Telnet Terminal TextIO TextIOBase TextIOWrapper
    TextLogStream ThreadPool ThreadedChildWatcher TypedDict URLopener UUID ValueTerminal
    WarningsRecorder Wave_read Wave_write WeakMethod WhiteSpaceTerminal WindowsPath Xxo
    ZipExtFile ZipFile ZoneInfo _AnnotatedAlias _BaseGenericAlias _BufferedIOBase
    _BufferedIOMixin _CallableGenericAlias _CallableType _ConcatenateGenericAlias
    _ConnectionBase _Database _DeleteDummyThreadOnDel _DeprecateByteStringMeta
    _DeprecatedGenericAlias _DeprecatedType _Extra _GatheringFuture _GenericAlias _GzipReader
    _IOBase _IsoCalendarDate _LazyModule _Line _ListDataStream _LiteralGenericAlias
    _LiteralSpecialForm _Method _MultiCallMethod _NamedIntConstant _ProactorBasePipeTransport
    _ProactorBaseWritePipeTransport _ProactorDatagramTransport _ProactorDuplexPipeTransport
    _ProactorReadPipeTransport _ProactorSocketTransport _ProactorWritePipeTransport
    _ProtocolMeta _RawIOBase _SSLProtocolTransport _SafeQueue _SelectorDatagramTransport
    _SelectorSocketTransport _SelectorTransport _SharedMemoryTracker _SocketWriter _SpecialForm
    _SpecialGenericAlias _SpoofOut _Stream _TemporaryFileCloser _TemporaryFileWrapper
    _TextIOBase _TupleType _TypedCacheSpecialForm _TypedDictMeta _UnionGenericAlias
    _UnixReadPipeTransport _UnixSelectorEventLoop _UnixSubprocessTransport
    _UnixWritePipeTransport _UnpackGenericAlias _VariadicGenericAlias _WriteBufferStream
    _ZipWriteFile _tee _wrap_close accumulate addbase addclosehook addinfo addinfourl
    arrayiterator async_generator async_generator_asend async_generator_athrow
    bytearray_iterator bytes_iterator chain combinations combinations_with_replacement coroutine
    cycle date datetime dircmp dropwhile file_wrapper finalize generator groupby islice iterator
    list_iterator list_reverseiterator local longrange_iterator partial permutations product
    range_iterator reversed socket str_ascii_iterator str_iterator takewhile time timedelta
    timezone tuple_iterator zip zip_longest
    """.split()
)

#: Packages all of whose classes count as such: most own a file, a process or memory, which they
#: release when they are thrown away.
ACTING_MODULES = frozenset(
    "_ctypes _testcapi asyncio ctypes encodings multiprocessing tempfile tkinter turtle "
    "unittest".split()
)

#: Modules that act when they are imported, which happens as soon as a pickle names them: ``this``
#: prints, ``antigravity`` opens a browser. Most packages' ``__main__`` acts too.
ACTING_ON_IMPORT = frozenset({"antigravity", "idlelib.idle", "test.autotest", "this"})
