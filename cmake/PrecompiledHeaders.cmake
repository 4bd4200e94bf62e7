# Four fifths of the time that a source with MLIR takes go into MLIR's headers, so they are compiled once for all libraries
# of the compiler. A build without them shows what a source forgets to include:
#   cmake --preset dev -DSFA_PRECOMPILED_HEADERS=OFF
option(SFA_PRECOMPILED_HEADERS "Compile MLIR's headers once" ON)

# The objects of libraries below `directory` take them, but for those of SFASupport, which tools without MLIR link, too.
function(sfa_precompile_headers directory)
  if(NOT SFA_PRECOMPILED_HEADERS)
    return()
  endif()
  if(NOT TARGET sfa_headers)
    set(source ${PROJECT_BINARY_DIR}/precompiled_headers.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "// Nothing but headers.\n")
    add_library(sfa_headers OBJECT ${source})
    llvm_update_compile_flags(sfa_headers)
    target_precompile_headers(sfa_headers PRIVATE ${PROJECT_SOURCE_DIR}/cmake/PrecompiledHeaders.h)
  endif()
  get_property(targets DIRECTORY ${directory} PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target ${targets})
    if(target MATCHES "^obj\\.SFA" AND NOT target STREQUAL obj.SFASupport)
      target_precompile_headers(${target} REUSE_FROM sfa_headers)
    endif()
  endforeach()
  get_property(directories DIRECTORY ${directory} PROPERTY SUBDIRECTORIES)
  foreach(below ${directories})
    sfa_precompile_headers(${below})
  endforeach()
endfunction()
