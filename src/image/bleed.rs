//! Colour under transparent pixels, extended from the visible ones.
//!
//! Files hide arbitrary colour (often black) under transparent pixels. A network would see it and
//! every filter would drag it over the edge, so it is replaced by the mean of the visible colours
//! nearby: opacity-weighted means are taken over ever larger squares (pull), and each hidden pixel
//! gets the finest mean that exists (push); Gortler et al., "The Lumigraph", 1996, section 3.4.3.

/// Replaces colour where `alpha` is 0, and blends it in below 1/16, where files' colours are mostly
/// rounding. `planes` is `[3, H, W]`, `alpha` `[H, W]`. A picture without any visible pixel becomes
/// mid-grey.
pub(crate) fn extend_visible_colours(
    planes: &mut [f32],
    alpha: &[f32],
    width: usize,
    height: usize,
) {
    let plane = width * height;
    for colour in planes.chunks_exact_mut(plane) {
        let fill = pull_push(colour, alpha, width, height);
        for ((v, fill), a) in colour.iter_mut().zip(fill).zip(alpha) {
            let keep = (a * 16.0).min(1.0);
            *v = fill + keep * (*v - fill);
        }
    }
}

/// One channel's fill: the weighted mean of the finest level that has any weight.
fn pull_push(colour: &[f32], weight: &[f32], width: usize, height: usize) -> Vec<f32> {
    if width == 1 && height == 1 {
        return vec![if weight[0] > 0.0 { colour[0] } else { 0.5 }];
    }
    let (half_w, half_h) = (width.div_ceil(2), height.div_ceil(2));
    let mut coarse = vec![0.0f32; half_w * half_h];
    let mut coarse_weight = vec![0.0f32; half_w * half_h];
    for y in 0..height {
        for x in 0..width {
            let (i, j) = (y * width + x, (y / 2) * half_w + x / 2);
            coarse[j] += colour[i] * weight[i];
            coarse_weight[j] += weight[i];
        }
    }
    for (v, w) in coarse.iter_mut().zip(coarse_weight.iter_mut()) {
        if *w > 0.0 {
            *v /= *w;
        }
        // Weights saturate: what is fully known at this scale needs nothing from a coarser one.
        *w = w.min(1.0);
    }
    let fill = pull_push(&coarse, &coarse_weight, half_w, half_h);
    let at = |x: usize, y: usize| fill[y.min(half_h - 1) * half_w + x.min(half_w - 1)];
    let mut out = Vec::with_capacity(width * height);
    for y in 0..height {
        for x in 0..width {
            // The neighbour on the side of this pixel's own quarter, weights 3:1, as in bilinear
            // doubling.
            let (cx, cy) = (x / 2, y / 2);
            let nx = if x % 2 == 0 { cx.saturating_sub(1) } else { cx + 1 };
            let ny = if y % 2 == 0 { cy.saturating_sub(1) } else { cy + 1 };
            let smooth =
                (9.0 * at(cx, cy) + 3.0 * at(nx, cy) + 3.0 * at(cx, ny) + at(nx, ny)) / 16.0;
            let w = weight[y * width + x].min(1.0);
            out.push(smooth + w * (colour[y * width + x] - smooth));
        }
    }
    out
}
