# For packages: libraries and tools that hold LLVM, MLIR and the C++ library and need nothing but an old glibc. Included after
# find_package; changes the imported targets, so that nothing else in the build differs.
#
# Debian's CMake package has one LLVM for all: each MLIR target depends on `LLVM`, which is libLLVM.so. In its place come
# the archives beside it, with the two targets that are generated for, X86 and NVPTX.

# What add_llvm_executable and add_mlir_library link: the components that are named, not libLLVM.so.
set(LLVM_LINK_LLVM_DYLIB OFF)

# What the MLIR libraries of this project use of LLVM. It may be more than a program needs: the linker takes the members of
# archives, and --gc-sections the functions, that something refers to.
llvm_map_components_to_libnames(static_llvm_components
  Core Support TargetParser Target BitReader BitWriter AsmParser IRReader Linker FrontendOpenMP FrontendOffloading
  Analysis Passes ipo TransformUtils ExecutionEngine JITLink OrcJIT OrcTargetProcess PerfJITEvents MC MCParser
  X86CodeGen X86Desc X86Info NVPTXCodeGen NVPTXDesc NVPTXInfo)
add_library(sfa_static_llvm INTERFACE)
target_link_libraries(sfa_static_llvm INTERFACE ${static_llvm_components})

find_library(SFA_ZLIB_ARCHIVE libz.a REQUIRED DOC "zlib as an archive")
find_library(SFA_ZSTD_ARCHIVE libzstd.a REQUIRED DOC "zstd as an archive")

get_property(imported_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
foreach(target ${imported_targets})
  if(NOT target MATCHES "^(LLVM|MLIR)")
    continue()
  endif()
  get_target_property(libraries ${target} INTERFACE_LINK_LIBRARIES)
  if(NOT libraries)
    continue()
  endif()
  # Of the system's libraries only what objects can be decompressed with: nothing here solves constraints, reads XML,
  # downloads or edits lines.
  list(FILTER libraries EXCLUDE REGEX "libz3|LibXml2|CURL|LibEdit")
  list(TRANSFORM libraries REPLACE "^LLVM$" sfa_static_llvm)
  list(TRANSFORM libraries REPLACE "^ZLIB::ZLIB$" "${SFA_ZLIB_ARCHIVE}")
  list(TRANSFORM libraries REPLACE "^zstd::.*" "${SFA_ZSTD_ARCHIVE}")
  set_target_properties(${target} PROPERTIES INTERFACE_LINK_LIBRARIES "${libraries}")
endforeach()

# --icf=all gives functions of the same code one address, also where an address is taken. LLVM and MLIR tell things apart
# by addresses of data, which it leaves alone; it makes libsfa.so 14% smaller.
add_link_options($<$<LINK_LANGUAGE:CXX>:-static-libstdc++> -static-libgcc -Wl,--as-needed -Wl,--icf=all -Wl,--strip-all)

# Packages run on systems with an older glibc than that of this machine; the script says how.
set(old_glibc ${PROJECT_BINARY_DIR}/glibc)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  scripts/old-glibc.sh scripts/package-tools.txt tools/Packaged/NewerGlibc.c)
execute_process(COMMAND ${PROJECT_SOURCE_DIR}/scripts/old-glibc.sh ${old_glibc} COMMAND_ERROR_IS_FATAL ANY)
add_link_options(-B${old_glibc} -L${old_glibc})
