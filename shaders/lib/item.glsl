// item.glsl: the number of a workgroup or an invocation in a grid folded over x and y.
// SPDX-License-Identifier: Apache-2.0
#ifndef ITEM_GLSL
#define ITEM_GLSL

uint group_index()
{
    return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
}

// A macro, because gl_WorkGroupSize is 1 in functions that stand before the layout.
#define item_index() (group_index() * gl_WorkGroupSize.x + gl_LocalInvocationID.x)

#endif
