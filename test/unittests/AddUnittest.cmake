# One executable for all the unit tests of a folder, where lit looks for it.
#   sfa_add_unittest(SFASupportTests NpyTest.cpp LINK SFASupport)
find_package(GTest REQUIRED)
add_custom_target(SFAUnitTests)

function(sfa_add_unittest name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINK")
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME folder)
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test/unittests/${folder})
  target_compile_options(${name} PRIVATE -fno-exceptions)
  target_link_libraries(${name} PRIVATE ${arg_LINK} GTest::gtest GTest::gtest_main)
  add_dependencies(SFAUnitTests ${name})
  add_test(NAME ${name} COMMAND ${name})
endfunction()
