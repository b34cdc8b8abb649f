module @jit_attn attributes {jax.uses_shape_polymorphism = true, mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<200x8xf32>, %arg1: tensor<300x8xf32>, %arg2: tensor<3x8xf32>, %arg3: tensor<20x8xf32>, %arg4: tensor<6x8xf32>, %arg5: tensor<8x8xf32>, %arg6: tensor<8x8xf32>, %arg7: tensor<8x8xf32>, %arg8: tensor<8xf32>, %arg9: tensor<8xf32>, %arg10: tensor<?x6xi32>, %arg11: tensor<?xi32>) -> (tensor<?xf32> {jax.result_info = "result"}) {
    %c = stablehlo.constant dense<1> : tensor<i32>
    %0 = stablehlo.get_dimension_size %arg10, dim = 0 : (tensor<?x6xi32>) -> tensor<i32>
    %1 = stablehlo.get_dimension_size %arg11, dim = 0 : (tensor<?xi32>) -> tensor<i32>
    %2 = stablehlo.compare  GE, %0, %c,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.custom_call @shape_assertion(%2, %0) {api_version = 2 : i32, error_message = "sizes differ", has_side_effect = true} : (tensor<i1>, tensor<i32>) -> ()
    %3 = stablehlo.compare  EQ, %1, %0,  SIGNED : (tensor<i32>, tensor<i32>) -> tensor<i1>
    stablehlo.custom_call @shape_assertion(%3, %1, %0) {api_version = 2 : i32, error_message = "sizes differ", has_side_effect = true} : (tensor<i1>, tensor<i32>, tensor<i32>) -> ()
    %4 = call @_wrapped_jax_export_main(%0, %arg0, %arg1, %arg2, %arg3, %arg4, %arg5, %arg6, %arg7, %arg8, %arg9, %arg10, %arg11) : (tensor<i32>, tensor<200x8xf32>, tensor<300x8xf32>, tensor<3x8xf32>, tensor<20x8xf32>, tensor<6x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<?x6xi32>, tensor<?xi32>) -> tensor<?xf32>
    return %4 : tensor<?xf32>
  }
  func.func private @_wrapped_jax_export_main(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<200x8xf32>, %arg2: tensor<300x8xf32>, %arg3: tensor<3x8xf32>, %arg4: tensor<20x8xf32>, %arg5: tensor<6x8xf32>, %arg6: tensor<8x8xf32>, %arg7: tensor<8x8xf32>, %arg8: tensor<8x8xf32>, %arg9: tensor<8xf32>, %arg10: tensor<8xf32>, %arg11: tensor<?x6xi32>, %arg12: tensor<?xi32>) -> (tensor<?xf32> {jax.result_info = "result"}) {
    %c = stablehlo.constant dense<300> : tensor<i32>
    %cst = stablehlo.constant dense<9.99999997E-7> : tensor<f32>
    %cst_0 = stablehlo.constant dense<8.000000e+00> : tensor<f32>
    %cst_1 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %cst_2 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %cst_3 = stablehlo.constant dense<-1.000000e+09> : tensor<f32>
    %c_4 = stablehlo.constant dense<1> : tensor<1xi32>
    %c_5 = stablehlo.constant dense<1> : tensor<i32>
    %cst_6 = stablehlo.constant dense<2.82842708> : tensor<f32>
    %c_7 = stablehlo.constant dense<0> : tensor<i32>
    %c_8 = stablehlo.constant dense<8> : tensor<1xi32>
    %c_9 = stablehlo.constant dense<6> : tensor<1xi32>
    %0 = call @_take(%arg0, %arg2, %arg11) : (tensor<i32>, tensor<300x8xf32>, tensor<?x6xi32>) -> tensor<?x6x8xf32>
    %1 = stablehlo.broadcast_in_dim %arg5, dims = [1, 2] : (tensor<6x8xf32>) -> tensor<1x6x8xf32>
    %2 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %3 = stablehlo.concatenate %2, %c_9, %c_8, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %4 = stablehlo.dynamic_broadcast_in_dim %1, %3, dims = [0, 1, 2] : (tensor<1x6x8xf32>, tensor<3xi32>) -> tensor<?x6x8xf32>
    %5 = stablehlo.add %0, %4 : tensor<?x6x8xf32>
    %6 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %7 = stablehlo.concatenate %6, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %8 = stablehlo.dynamic_broadcast_in_dim %c_7, %7, dims = [] : (tensor<i32>, tensor<2xi32>) -> tensor<?x6xi32>
    %9 = stablehlo.compare  GT, %arg11, %8,  SIGNED : (tensor<?x6xi32>, tensor<?x6xi32>) -> tensor<?x6xi1>
    %10 = stablehlo.dot_general %5, %arg6, contracting_dims = [2] x [0] : (tensor<?x6x8xf32>, tensor<8x8xf32>) -> tensor<?x6x8xf32>
    %11 = stablehlo.dot_general %5, %arg7, contracting_dims = [2] x [0] : (tensor<?x6x8xf32>, tensor<8x8xf32>) -> tensor<?x6x8xf32>
    %12 = stablehlo.dot_general %5, %arg8, contracting_dims = [2] x [0] : (tensor<?x6x8xf32>, tensor<8x8xf32>) -> tensor<?x6x8xf32>
    %13 = stablehlo.dot_general %10, %11, batching_dims = [0] x [0], contracting_dims = [2] x [2] : (tensor<?x6x8xf32>, tensor<?x6x8xf32>) -> tensor<?x6x6xf32>
    %14 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %15 = stablehlo.concatenate %14, %c_9, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %16 = stablehlo.dynamic_broadcast_in_dim %cst_6, %15, dims = [] : (tensor<f32>, tensor<3xi32>) -> tensor<?x6x6xf32>
    %17 = stablehlo.divide %13, %16 : tensor<?x6x6xf32>
    %18 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %19 = stablehlo.concatenate %18, %c_4, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %20 = stablehlo.dynamic_broadcast_in_dim %9, %19, dims = [0, 2] : (tensor<?x6xi1>, tensor<3xi32>) -> tensor<?x1x6xi1>
    %21 = call @_where_0(%arg0, %20, %17, %cst_3) : (tensor<i32>, tensor<?x1x6xi1>, tensor<?x6x6xf32>, tensor<f32>) -> tensor<?x6x6xf32>
    %22 = stablehlo.reduce(%21 init: %cst_2) applies stablehlo.maximum across dimensions = [2] : (tensor<?x6x6xf32>, tensor<f32>) -> tensor<?x6xf32>
    %23 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %24 = stablehlo.concatenate %23, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %25 = stablehlo.dynamic_broadcast_in_dim %cst_2, %24, dims = [] : (tensor<f32>, tensor<2xi32>) -> tensor<?x6xf32>
    %26 = stablehlo.maximum %25, %22 : tensor<?x6xf32>
    %27 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %28 = stablehlo.concatenate %27, %c_9, %c_4, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %29 = stablehlo.dynamic_broadcast_in_dim %26, %28, dims = [0, 1] : (tensor<?x6xf32>, tensor<3xi32>) -> tensor<?x6x1xf32>
    %30 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %31 = stablehlo.concatenate %30, %c_9, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %32 = stablehlo.dynamic_broadcast_in_dim %29, %31, dims = [0, 1, 2] : (tensor<?x6x1xf32>, tensor<3xi32>) -> tensor<?x6x6xf32>
    %33 = stablehlo.subtract %21, %32 : tensor<?x6x6xf32>
    %34 = stablehlo.exponential %33 : tensor<?x6x6xf32>
    %35 = stablehlo.reduce(%34 init: %cst_1) applies stablehlo.add across dimensions = [2] : (tensor<?x6x6xf32>, tensor<f32>) -> tensor<?x6xf32>
    %36 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %37 = stablehlo.concatenate %36, %c_9, %c_4, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %38 = stablehlo.dynamic_broadcast_in_dim %35, %37, dims = [0, 1] : (tensor<?x6xf32>, tensor<3xi32>) -> tensor<?x6x1xf32>
    %39 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %40 = stablehlo.concatenate %39, %c_9, %c_9, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %41 = stablehlo.dynamic_broadcast_in_dim %38, %40, dims = [0, 1, 2] : (tensor<?x6x1xf32>, tensor<3xi32>) -> tensor<?x6x6xf32>
    %42 = stablehlo.divide %34, %41 : tensor<?x6x6xf32>
    %43 = stablehlo.dot_general %42, %12, batching_dims = [0] x [0], contracting_dims = [2] x [1] : (tensor<?x6x6xf32>, tensor<?x6x8xf32>) -> tensor<?x6x8xf32>
    %44 = stablehlo.add %5, %43 : tensor<?x6x8xf32>
    %45 = stablehlo.reduce(%44 init: %cst_1) applies stablehlo.add across dimensions = [2] : (tensor<?x6x8xf32>, tensor<f32>) -> tensor<?x6xf32>
    %46 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %47 = stablehlo.concatenate %46, %c_9, %c_4, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %48 = stablehlo.dynamic_broadcast_in_dim %45, %47, dims = [0, 1] : (tensor<?x6xf32>, tensor<3xi32>) -> tensor<?x6x1xf32>
    %49 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %50 = stablehlo.concatenate %49, %c_9, %c_4, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %51 = stablehlo.dynamic_broadcast_in_dim %cst_0, %50, dims = [] : (tensor<f32>, tensor<3xi32>) -> tensor<?x6x1xf32>
    %52 = stablehlo.divide %48, %51 : tensor<?x6x1xf32>
    %53 = stablehlo.multiply %44, %44 : tensor<?x6x8xf32>
    %54 = stablehlo.reduce(%53 init: %cst_1) applies stablehlo.add across dimensions = [2] : (tensor<?x6x8xf32>, tensor<f32>) -> tensor<?x6xf32>
    %55 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %56 = stablehlo.concatenate %55, %c_9, %c_4, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %57 = stablehlo.dynamic_broadcast_in_dim %54, %56, dims = [0, 1] : (tensor<?x6xf32>, tensor<3xi32>) -> tensor<?x6x1xf32>
    %58 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %59 = stablehlo.concatenate %58, %c_9, %c_4, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %60 = stablehlo.dynamic_broadcast_in_dim %cst_0, %59, dims = [] : (tensor<f32>, tensor<3xi32>) -> tensor<?x6x1xf32>
    %61 = stablehlo.divide %57, %60 : tensor<?x6x1xf32>
    %62 = stablehlo.multiply %52, %52 : tensor<?x6x1xf32>
    %63 = stablehlo.subtract %61, %62 : tensor<?x6x1xf32>
    %64 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %65 = stablehlo.concatenate %64, %c_9, %c_4, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %66 = stablehlo.dynamic_broadcast_in_dim %cst_1, %65, dims = [] : (tensor<f32>, tensor<3xi32>) -> tensor<?x6x1xf32>
    %67 = stablehlo.maximum %66, %63 : tensor<?x6x1xf32>
    %68 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %69 = stablehlo.concatenate %68, %c_9, %c_8, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %70 = stablehlo.dynamic_broadcast_in_dim %52, %69, dims = [0, 1, 2] : (tensor<?x6x1xf32>, tensor<3xi32>) -> tensor<?x6x8xf32>
    %71 = stablehlo.subtract %44, %70 : tensor<?x6x8xf32>
    %72 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %73 = stablehlo.concatenate %72, %c_9, %c_4, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %74 = stablehlo.dynamic_broadcast_in_dim %cst, %73, dims = [] : (tensor<f32>, tensor<3xi32>) -> tensor<?x6x1xf32>
    %75 = stablehlo.add %67, %74 : tensor<?x6x1xf32>
    %76 = stablehlo.rsqrt %75 : tensor<?x6x1xf32>
    %77 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %78 = stablehlo.concatenate %77, %c_9, %c_8, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %79 = stablehlo.dynamic_broadcast_in_dim %76, %78, dims = [0, 1, 2] : (tensor<?x6x1xf32>, tensor<3xi32>) -> tensor<?x6x8xf32>
    %80 = stablehlo.multiply %71, %79 : tensor<?x6x8xf32>
    %81 = stablehlo.broadcast_in_dim %arg9, dims = [2] : (tensor<8xf32>) -> tensor<1x1x8xf32>
    %82 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %83 = stablehlo.concatenate %82, %c_9, %c_8, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %84 = stablehlo.dynamic_broadcast_in_dim %81, %83, dims = [0, 1, 2] : (tensor<1x1x8xf32>, tensor<3xi32>) -> tensor<?x6x8xf32>
    %85 = stablehlo.multiply %80, %84 : tensor<?x6x8xf32>
    %86 = stablehlo.broadcast_in_dim %arg10, dims = [2] : (tensor<8xf32>) -> tensor<1x1x8xf32>
    %87 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %88 = stablehlo.concatenate %87, %c_9, %c_8, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %89 = stablehlo.dynamic_broadcast_in_dim %86, %88, dims = [0, 1, 2] : (tensor<1x1x8xf32>, tensor<3xi32>) -> tensor<?x6x8xf32>
    %90 = stablehlo.add %85, %89 : tensor<?x6x8xf32>
    %91 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %92 = stablehlo.concatenate %91, %c_9, %c_4, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %93 = stablehlo.dynamic_broadcast_in_dim %9, %92, dims = [0, 1] : (tensor<?x6xi1>, tensor<3xi32>) -> tensor<?x6x1xi1>
    %94 = stablehlo.convert %93 : (tensor<?x6x1xi1>) -> tensor<?x6x1xf32>
    %95 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %96 = stablehlo.concatenate %95, %c_9, %c_8, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %97 = stablehlo.dynamic_broadcast_in_dim %94, %96, dims = [0, 1, 2] : (tensor<?x6x1xf32>, tensor<3xi32>) -> tensor<?x6x8xf32>
    %98 = stablehlo.multiply %90, %97 : tensor<?x6x8xf32>
    %99 = stablehlo.reduce(%98 init: %cst_1) applies stablehlo.add across dimensions = [1] : (tensor<?x6x8xf32>, tensor<f32>) -> tensor<?x8xf32>
    %100 = stablehlo.convert %9 : (tensor<?x6xi1>) -> tensor<?x6xi32>
    %101 = stablehlo.reduce(%100 init: %c_7) applies stablehlo.add across dimensions = [1] : (tensor<?x6xi32>, tensor<i32>) -> tensor<?xi32>
    %102 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %103 = stablehlo.concatenate %102, %c_4, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %104 = stablehlo.dynamic_broadcast_in_dim %101, %103, dims = [0] : (tensor<?xi32>, tensor<2xi32>) -> tensor<?x1xi32>
    %105 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %106 = stablehlo.concatenate %105, %c_4, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %107 = stablehlo.dynamic_broadcast_in_dim %c_5, %106, dims = [] : (tensor<i32>, tensor<2xi32>) -> tensor<?x1xi32>
    %108 = stablehlo.maximum %104, %107 : tensor<?x1xi32>
    %109 = stablehlo.convert %108 : (tensor<?x1xi32>) -> tensor<?x1xf32>
    %110 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %111 = stablehlo.concatenate %110, %c_8, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %112 = stablehlo.dynamic_broadcast_in_dim %109, %111, dims = [0, 1] : (tensor<?x1xf32>, tensor<2xi32>) -> tensor<?x8xf32>
    %113 = stablehlo.divide %99, %112 : tensor<?x8xf32>
    %114 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %115 = stablehlo.dynamic_broadcast_in_dim %c_7, %114, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %116 = stablehlo.compare  LT, %arg12, %115,  SIGNED : (tensor<?xi32>, tensor<?xi32>) -> tensor<?xi1>
    %117 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %118 = stablehlo.dynamic_broadcast_in_dim %c, %117, dims = [] : (tensor<i32>, tensor<1xi32>) -> tensor<?xi32>
    %119 = stablehlo.add %arg12, %118 : tensor<?xi32>
    %120 = stablehlo.select %116, %119, %arg12 : tensor<?xi1>, tensor<?xi32>
    %121 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %122 = stablehlo.concatenate %121, %c_4, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %123 = stablehlo.dynamic_broadcast_in_dim %120, %122, dims = [0] : (tensor<?xi32>, tensor<2xi32>) -> tensor<?x1xi32>
    %124 = "stablehlo.gather"(%arg2, %123) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, slice_sizes = array<i64: 1, 8>}> : (tensor<300x8xf32>, tensor<?x1xi32>) -> tensor<?x8xf32>
    %125 = stablehlo.multiply %113, %124 : tensor<?x8xf32>
    %126 = stablehlo.reduce(%125 init: %cst_1) applies stablehlo.add across dimensions = [1] : (tensor<?x8xf32>, tensor<f32>) -> tensor<?xf32>
    return %126 : tensor<?xf32>
  }
  func.func private @_take(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<300x8xf32>, %arg2: tensor<?x6xi32>) -> tensor<?x6x8xf32> {
    %cst = stablehlo.constant dense<0x7FC00000> : tensor<f32>
    %c = stablehlo.constant dense<8> : tensor<1xi32>
    %c_0 = stablehlo.constant dense<true> : tensor<i1>
    %c_1 = stablehlo.constant dense<299> : tensor<1xi32>
    %c_2 = stablehlo.constant dense<1> : tensor<1xi32>
    %c_3 = stablehlo.constant dense<300> : tensor<i32>
    %c_4 = stablehlo.constant dense<6> : tensor<1xi32>
    %c_5 = stablehlo.constant dense<0> : tensor<i32>
    %0 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %1 = stablehlo.concatenate %0, %c_4, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %2 = stablehlo.dynamic_broadcast_in_dim %c_5, %1, dims = [] : (tensor<i32>, tensor<2xi32>) -> tensor<?x6xi32>
    %3 = stablehlo.compare  LT, %arg2, %2,  SIGNED : (tensor<?x6xi32>, tensor<?x6xi32>) -> tensor<?x6xi1>
    %4 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %5 = stablehlo.concatenate %4, %c_4, dim = 0 : (tensor<1xi32>, tensor<1xi32>) -> tensor<2xi32>
    %6 = stablehlo.dynamic_broadcast_in_dim %c_3, %5, dims = [] : (tensor<i32>, tensor<2xi32>) -> tensor<?x6xi32>
    %7 = stablehlo.add %arg2, %6 : tensor<?x6xi32>
    %8 = call @_where(%arg0, %3, %7, %arg2) : (tensor<i32>, tensor<?x6xi1>, tensor<?x6xi32>, tensor<?x6xi32>) -> tensor<?x6xi32>
    %9 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %10 = stablehlo.concatenate %9, %c_4, %c_2, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %11 = stablehlo.dynamic_broadcast_in_dim %8, %10, dims = [0, 1] : (tensor<?x6xi32>, tensor<3xi32>) -> tensor<?x6x1xi32>
    %12 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %13 = stablehlo.concatenate %12, %c_4, %c_2, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %14 = stablehlo.dynamic_broadcast_in_dim %c_5, %13, dims = [] : (tensor<i32>, tensor<3xi32>) -> tensor<?x6x1xi32>
    %15 = stablehlo.compare  GE, %11, %14,  SIGNED : (tensor<?x6x1xi32>, tensor<?x6x1xi32>) -> tensor<?x6x1xi1>
    %16 = stablehlo.broadcast_in_dim %c_1, dims = [2] : (tensor<1xi32>) -> tensor<1x1x1xi32>
    %17 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %18 = stablehlo.concatenate %17, %c_4, %c_2, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %19 = stablehlo.dynamic_broadcast_in_dim %16, %18, dims = [0, 1, 2] : (tensor<1x1x1xi32>, tensor<3xi32>) -> tensor<?x6x1xi32>
    %20 = stablehlo.compare  LE, %11, %19,  SIGNED : (tensor<?x6x1xi32>, tensor<?x6x1xi32>) -> tensor<?x6x1xi1>
    %21 = stablehlo.and %15, %20 : tensor<?x6x1xi1>
    %22 = stablehlo.reduce(%21 init: %c_0) applies stablehlo.and across dimensions = [2] : (tensor<?x6x1xi1>, tensor<i1>) -> tensor<?x6xi1>
    %23 = "stablehlo.gather"(%arg1, %11) <{dimension_numbers = #stablehlo.gather<offset_dims = [2], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 2>, slice_sizes = array<i64: 1, 8>}> : (tensor<300x8xf32>, tensor<?x6x1xi32>) -> tensor<?x6x8xf32>
    %24 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %25 = stablehlo.concatenate %24, %c_4, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %26 = stablehlo.dynamic_broadcast_in_dim %22, %25, dims = [0, 1] : (tensor<?x6xi1>, tensor<3xi32>) -> tensor<?x6x8xi1>
    %27 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %28 = stablehlo.concatenate %27, %c_4, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %29 = stablehlo.dynamic_broadcast_in_dim %cst, %28, dims = [] : (tensor<f32>, tensor<3xi32>) -> tensor<?x6x8xf32>
    %30 = stablehlo.select %26, %23, %29 : tensor<?x6x8xi1>, tensor<?x6x8xf32>
    return %30 : tensor<?x6x8xf32>
  }
  func.func private @_where(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<?x6xi1>, %arg2: tensor<?x6xi32>, %arg3: tensor<?x6xi32>) -> tensor<?x6xi32> {
    %0 = stablehlo.select %arg1, %arg2, %arg3 : tensor<?x6xi1>, tensor<?x6xi32>
    return %0 : tensor<?x6xi32>
  }
  func.func private @_where_0(%arg0: tensor<i32> {jax.global_constant = "b"}, %arg1: tensor<?x1x6xi1>, %arg2: tensor<?x6x6xf32>, %arg3: tensor<f32>) -> tensor<?x6x6xf32> {
    %c = stablehlo.constant dense<6> : tensor<1xi32>
    %0 = stablehlo.convert %arg3 : tensor<f32>
    %1 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %2 = stablehlo.concatenate %1, %c, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %3 = stablehlo.dynamic_broadcast_in_dim %arg1, %2, dims = [0, 1, 2] : (tensor<?x1x6xi1>, tensor<3xi32>) -> tensor<?x6x6xi1>
    %4 = stablehlo.reshape %arg0 : (tensor<i32>) -> tensor<1xi32>
    %5 = stablehlo.concatenate %4, %c, %c, dim = 0 : (tensor<1xi32>, tensor<1xi32>, tensor<1xi32>) -> tensor<3xi32>
    %6 = stablehlo.dynamic_broadcast_in_dim %0, %5, dims = [] : (tensor<f32>, tensor<3xi32>) -> tensor<?x6x6xf32>
    %7 = stablehlo.select %3, %arg2, %6 : tensor<?x6x6xi1>, tensor<?x6x6xf32>
    return %7 : tensor<?x6x6xf32>
  }
}
