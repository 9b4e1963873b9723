# va_embed_shaders(TARGET): compiles shaders/{op,vec,probe}/*.comp at build time and links them into TARGET.
# SPDX-License-Identifier: Apache-2.0
#
# A new shader needs no line anywhere. Lines at the top of a shader say how it is built:
#   // variants: FORWARD JVP VJP       one SPIR-V module each, with -DFORWARD and so on, named
#                                      "op/file.FORWARD"; without the line one module, "op/file"
#   // requires: GL_KHR_cooperative_matrix   built only when the compiler knows these extensions
#   // target: vulkan1.3                      the SPIR-V that is made; without the line vulkan1.1
# Includes are found in shaders/lib; a change there rebuilds every shader.

if(VA_GLSLANG)
  set(VA_GLSLANG_PROGRAM "${VA_GLSLANG}")
else()
  find_program(VA_GLSLANG_PROGRAM NAMES glslangValidator glslang REQUIRED
               DOC "GLSL compiler (Debian: glslang-tools)")
endif()
set(VA_GLSLANG_FLAGS --quiet -V -S comp)

# Its path stays when it is upgraded, so what it says of itself tells one compiler from another.
execute_process(COMMAND "${VA_GLSLANG_PROGRAM}" --version
                OUTPUT_VARIABLE version ERROR_VARIABLE version)
string(MD5 VA_GLSLANG_ID "${VA_GLSLANG_PROGRAM} ${version}")

# Does the compiler know this GLSL extension? Asked once per extension, target and compiler.
function(va_glslang_knows extension target result)
  set(key "VA_HAVE_${extension}_${target}_${VA_GLSLANG_ID}")
  if(NOT DEFINED CACHE{${key}})
    set(probe "${CMAKE_BINARY_DIR}/shaders/probe_${extension}.comp")
    file(WRITE "${probe}" "#version 450\n#extension ${extension} : require\nvoid main() {}\n")
    execute_process(COMMAND "${VA_GLSLANG_PROGRAM}" ${VA_GLSLANG_FLAGS} --target-env ${target}
                            -o "${probe}.spv" "${probe}"
                    RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
    if(status EQUAL 0)
      set(${key} TRUE CACHE INTERNAL "")
    else()
      set(${key} FALSE CACHE INTERNAL "")
      message(STATUS "${extension}: not known to ${VA_GLSLANG_PROGRAM}; shaders that need it are left out")
    endif()
  endif()
  set(${result} "$CACHE{${key}}" PARENT_SCOPE)
endfunction()

# The words after "// KEY:" in a shader, as a list.
function(va_shader_words source key result)
  file(STRINGS "${source}" line LIMIT_COUNT 1 REGEX "^// ${key}:")
  string(REGEX REPLACE "^// ${key}:[ ]*" "" line "${line}")
  separate_arguments(words UNIX_COMMAND "${line}")
  set(${result} "${words}" PARENT_SCOPE)
endfunction()

# Adds the command that compiles one variant ("" for none); appends to names and headers of the caller.
macro(va_compile_shader source base variant)
  if("${variant}" STREQUAL "")
    set(shader "${base}")
    set(define "")
  else()
    set(shader "${base}.${variant}")
    set(define "-D${variant}")
  endif()
  string(MAKE_C_IDENTIFIER "va_spirv_${shader}" symbol)
  set(header "${out}/${symbol}.h")
  add_custom_command(
    OUTPUT "${header}"
    COMMAND "${VA_GLSLANG_PROGRAM}" ${VA_GLSLANG_FLAGS} --target-env ${env} "$<$<CONFIG:Debug>:-g>"
            ${define}
            "-I${PROJECT_SOURCE_DIR}/shaders/lib" --vn ${symbol} -o "${header}" "${source}"
    DEPENDS "${source}" ${lib_sources} "${out}/compiler.txt"
    COMMENT "Shader ${shader}"
    COMMAND_EXPAND_LISTS VERBATIM)
  list(APPEND headers "${header}")
  list(APPEND names "${shader}")
endmacro()

# Writes the table of all shaders, sorted by name, which va_gpu searches.
function(va_write_shader_table file names)
  list(SORT names COMPARE STRING)
  set(includes "")
  set(rows "")
  foreach(name IN LISTS names)
    string(MAKE_C_IDENTIFIER "va_spirv_${name}" symbol)
    string(APPEND includes "#include \"${symbol}.h\"\n")
    string(APPEND rows "    {\"${name}\", ${symbol}, sizeof(${symbol})},\n")
  endforeach()
  list(LENGTH names count)
  file(CONFIGURE OUTPUT "${file}" @ONLY CONTENT "// Written by cmake/shaders.cmake.
#include \"gpu_shader.h\"
${includes}
const gpu_shader gpu_shaders[] = {
${rows}    {0}, // so that the table is never empty
};
const int64_t gpu_n_shaders = ${count};
")
endfunction()

function(va_embed_shaders target)
  set(out "${CMAKE_BINARY_DIR}/shaders")
  file(MAKE_DIRECTORY "${out}")
  # Another compiler makes all shaders anew. Written when it changes alone.
  file(CONFIGURE OUTPUT "${out}/compiler.txt" CONTENT "${VA_GLSLANG_ID}\n")
  file(GLOB lib_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/shaders/lib/*")
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/shaders/op/*.comp"
       "${PROJECT_SOURCE_DIR}/shaders/vec/*.comp" "${PROJECT_SOURCE_DIR}/shaders/probe/*.comp")
  set(names "")
  set(headers "")
  foreach(source IN LISTS sources)
    # The lines at the top decide what is built, so an edit configures again.
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
    va_shader_words("${source}" requires extensions)
    va_shader_words("${source}" target env)
    if(NOT env)
      set(env vulkan1.1)
    endif()
    set(buildable TRUE)
    foreach(extension IN LISTS extensions)
      va_glslang_knows(${extension} ${env} known)
      if(NOT known)
        set(buildable FALSE)
      endif()
    endforeach()
    if(NOT buildable)
      continue()
    endif()
    file(RELATIVE_PATH base "${PROJECT_SOURCE_DIR}/shaders" "${source}")
    string(REGEX REPLACE "\\.comp$" "" base "${base}")
    va_shader_words("${source}" variants variants)
    if(NOT variants)
      va_compile_shader("${source}" "${base}" "")
    endif()
    foreach(variant IN LISTS variants)
      va_compile_shader("${source}" "${base}" "${variant}")
    endforeach()
  endforeach()
  set(table "${out}/gpu_shader_table.c")
  va_write_shader_table("${table}" "${names}")
  set_property(SOURCE "${table}" PROPERTY OBJECT_DEPENDS "${headers}")
  target_sources(${target} PRIVATE "${table}")
  target_include_directories(${target} PRIVATE "${out}")
endfunction()
