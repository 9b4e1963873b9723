# va_layer(NAME USES layers... LIBS targets...): static library va_NAME from runtime/NAME/*.c.
# A new file needs no line anywhere: sources are globbed, and CMake looks again at each build.

add_library(va_options INTERFACE)
target_compile_options(va_options INTERFACE -Wall -Wextra -Wshadow -Wmissing-prototypes
                                            -Wstrict-prototypes)
target_compile_definitions(va_options INTERFACE _GNU_SOURCE)
if(VA_WERROR)
  target_compile_options(va_options INTERFACE -Werror)
endif()
if(VA_SANITIZE OR VA_FUZZ)
  target_compile_options(va_options INTERFACE -fsanitize=address,undefined
                                              -fno-sanitize-recover=undefined
                                              -fno-omit-frame-pointer)
  target_link_options(va_options INTERFACE -fsanitize=address,undefined)
endif()
if(VA_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "VA_FUZZ: expected clang (libFuzzer), got ${CMAKE_C_COMPILER_ID}")
  endif()
  target_compile_options(va_options INTERFACE -fsanitize=fuzzer-no-link -UNDEBUG)
endif()

function(va_layer_sources target folder)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/runtime/${folder}/*.c")
  if(NOT sources) # a layer yet to come does not keep the others from being built
    set(sources "${CMAKE_BINARY_DIR}/empty.c")
    file(WRITE "${sources}" "extern int va_empty;\n")
  endif()
  target_sources(${target} PRIVATE ${sources})
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/runtime/${folder}")
endfunction()

set(VA_LAYERS "" CACHE INTERNAL "")
function(va_layer name)
  cmake_parse_arguments(arg "" "" "USES;LIBS" ${ARGN})
  add_library(va_${name} STATIC)
  va_layer_sources(va_${name} ${name})
  target_include_directories(va_${name} PUBLIC "${PROJECT_SOURCE_DIR}/include")
  list(TRANSFORM arg_USES PREPEND va_)
  target_link_libraries(va_${name} PUBLIC ${arg_USES} PRIVATE ${arg_LIBS} va_options)
  set(VA_LAYERS ${VA_LAYERS} va_${name} CACHE INTERNAL "")
endfunction()

# The layers' archives, the public headers and a pkg-config file that links them.
function(va_install_library)
  install(TARGETS ${VA_LAYERS} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}/vkalign)
  install(DIRECTORY include/vkalign DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  set(flags "")
  foreach(layer IN LISTS VA_LAYERS)
    string(PREPEND flags "-l${layer} ") # users before what they use
  endforeach()
  set(VA_PC_LIBS "${flags}")
  # From the .pc file's own place, so that cmake --install --prefix and packages may move it.
  file(RELATIVE_PATH VA_PC_PREFIX "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig"
       "${CMAKE_INSTALL_PREFIX}")
  string(REGEX REPLACE "/$" "" VA_PC_PREFIX "${VA_PC_PREFIX}")
  configure_file(cmake/vkalign.pc.in vkalign.pc @ONLY)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/vkalign.pc"
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()
