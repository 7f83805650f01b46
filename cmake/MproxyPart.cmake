# Parts of the tree that may be absent, and parts that are switched off for want of a package.

# mproxy_part(FOLDER): add it where it has a CMakeLists.txt.
macro(mproxy_part folder)
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt)
        add_subdirectory(${folder})
    endif()
endmacro()

# mproxy_left_out(PART REASON): an optional part is not built; install.sh lists it.
function(mproxy_left_out part reason)
    set_property(GLOBAL APPEND PROPERTY MPROXY_LEFT_OUT "${part}: ${reason}")
    message(STATUS "Left out: ${part}: ${reason}")
endfunction()

# Write the list of what was left out to left-out.txt in the build folder.
function(mproxy_left_out_list)
    get_property(parts GLOBAL PROPERTY MPROXY_LEFT_OUT)
    set(text "")
    foreach(part ${parts})
        string(APPEND text "${part}\n")
    endforeach()
    file(WRITE ${CMAKE_BINARY_DIR}/left-out.txt "${text}")
endfunction()
