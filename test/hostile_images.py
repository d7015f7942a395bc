"""Encoded images that attack whoever decodes them, by name; each has to be refused without being decoded."""

import struct
import zlib

import cv2
import numpy as np

PNG = b'\x89PNG\r\n\x1a\n'
HUGE = (30000, 30000)


def ramp(height=64, width=64, channels=1, dtype=np.uint8):
    """Return an image that is no noise and not flat."""
    rows, columns = np.mgrid[:height, :width]
    levels = ((rows * 3 + columns * 5) % 251).astype(dtype) * (257 if dtype == np.uint16 else 1)
    return levels.astype(dtype) if channels == 1 else np.dstack([levels.astype(dtype)] * channels)


def encoded(suffix, image=None, *parameters):
    """Return an image as the bytes of a file."""
    return cv2.imencode(suffix, ramp() if image is None else image, list(parameters))[1].tobytes()


def chunk(kind, content=b'', length=None):
    """Return a chunk of a PNG, of the length that it has or the one it is to claim."""
    length = len(content) if length is None else length
    return struct.pack('>I', length) + kind + content + struct.pack('>I', zlib.crc32(kind + content))


def ihdr(width=64, height=64, depth=8, colour=0, interlaced=0):
    return chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, interlaced))


def idat(height=64, row=64):
    return chunk(b'IDAT', zlib.compress(bytes((row + 1) * height)))


def pngs():
    end, bomb = chunk(b'IEND'), zlib.compress(bytes(50 << 20))
    animation = chunk(b'acTL', struct.pack('>II', 2, 0))
    frame = chunk(b'fcTL', struct.pack('>IIIIIHHBB', 0, *HUGE, 0, 0, 1, 1, 0, 0))
    yield from {
        'two headers': PNG + ihdr() + ihdr(*HUGE) + idat() + end,
        'header behind text': PNG + chunk(b'tEXt', b'a\0b') + ihdr() + idat() + end,
        'header behind pixels': PNG + idat() + ihdr() + end,
        'header of 25 bytes': PNG + chunk(b'IHDR', bytes(25)) + idat() + end,
        'header after the pixels': PNG + ihdr() + idat() + ihdr(*HUGE) + idat() + end,
        'no pixels': PNG + ihdr(*HUGE, colour=2) + end,
        'few pixels': PNG + ihdr(*HUGE, colour=2) + idat() + end,
        'few pixels, 16 bits': PNG + ihdr(20000, 20000, 16, 6) + idat() + end,
        'few pixels, interlaced': PNG + ihdr(*HUGE, interlaced=1) + idat() + end,
        'size 0': PNG + ihdr(0, 0) + idat() + end,
        'size of 32 bits': PNG + ihdr(2**32 - 1, 2**32 - 1) + idat() + end,
        'size of 31 bits': PNG + ihdr(2**31 - 1, 1) + idat() + end,
        'no end': PNG + ihdr() + idat(),
        'animation': PNG + ihdr() + animation + frame + idat() + end,
        'frames behind the pixels': PNG + ihdr() + idat() + frame + chunk(b'fdAT', bytes(99)) + end,
        'frame data that claims 4 GB': PNG + ihdr() + idat() + chunk(b'fdAT', b'', 2**32 - 1) + end,
        'pixels in two places': PNG + ihdr() + idat() + chunk(b'tIME', bytes(7)) + idat() + end,
        'unknown critical chunk': PNG + ihdr() + chunk(b'ABCD') + idat() + end,
        'chunk without a name': PNG + ihdr() + chunk(b'\0\0\0\0') + idat() + end,
        'palette missing': PNG + ihdr(colour=3) + idat() + end,
        'two palettes': PNG + ihdr(colour=3) + chunk(b'PLTE', bytes(3)) * 2 + idat() + end,
        'colour type 5': PNG + ihdr(colour=5) + idat() + end,
        '3 bits': PNG + ihdr(depth=3) + idat() + end,
        'interlaced in another way': PNG + ihdr(interlaced=2) + idat() + end,
        'very many chunks': PNG + ihdr() + chunk(b'tEXt') * 110_000 + idat() + end,
        'only the signature': PNG,
        'pixels that are none': PNG + ihdr() + chunk(b'IDAT', bytes(100)) + end,
        'a bomb of pixels, cut': PNG + ihdr(9000, 9000) + chunk(b'IDAT', bomb[:20000]) + end,
    }.items()
    for kind in (b'IDAT', b'tEXt', b'zTXt', b'iTXt', b'iCCP', b'PLTE', b'tRNS', b'eXIf', b'IEND', b'fdAT'):
        for length in (2**32 - 1, 2**31, 2**32 - 256, 200_000):
            yield f'{kind} claims {length}', PNG + ihdr() + chunk(kind, b'x', length) + idat() + end


def jpeg(*segments, image=None):
    """Return a JPEG with segments between its beginning and the rest."""
    data = encoded('.jpg', image)
    return data[:2] + b''.join(segments) + data[2:]


def segment(marker, content=b''):
    return bytes([0xFF, marker]) + struct.pack('>H', len(content) + 2) + content


def sof(width, height, marker=0xC0, bits=8, components=1, sampling=0x11):
    content = struct.pack('>BHHB', bits, height, width, components)
    return segment(marker, content + b''.join(bytes([n, sampling, 0]) for n in range(components)))


def jpegs():
    data = encoded('.jpg')
    colour = encoded('.jpg', ramp(64, 64, 3))
    at = data.index(b'\xff\xc0')
    frame = data[at : at + 13]
    scan = data.index(b'\xff\xda')
    progressive = encoded('.jpg', None, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    last = progressive.rindex(b'\xff\xda')

    def resized(width, height, source=data):
        at = max(source.find(b'\xff\xc0'), source.find(b'\xff\xc2'))
        return source[: at + 5] + struct.pack('>HH', height, width) + source[at + 9 :]

    yield from {
        'second size, small first': jpeg(sof(64, 64)),
        'second size, large first': jpeg(sof(*HUGE)),
        'second size behind the first': data[:scan] + sof(*HUGE) + data[scan:],
        'second size behind the scan': data[:-2] + sof(*HUGE) + data[-2:],
        'a hidden size': data[:2] + b'\xff\x01' + segment(0xFE, bytes(9)) + resized(9000, 9000)[2:],
        'a size behind restarts': data[:2] + b'\xff\xd0\xff\xd7' + resized(9000, 9000)[2:],
        'a size behind garbage': data[:2] + b'garbage' + resized(9000, 9000)[2:],
        'a size behind fill bytes': data[:2] + b'\xff' * 999 + resized(9000, 9000)[2:],
        'a second image inside': data[:2] + data,
        '65500x65500': resized(65500, 65500),
        '65535x65535': resized(65535, 65535),
        '9000x9000, colour': resized(9000, 9000, colour),
        '9000x9000, progressive': resized(9000, 9000, progressive),
        'height 0, stated behind': resized(64, 0)[:-2] + segment(0xDC, b'\x75\x30') + b'\xff\xd9',
        'width 0': resized(0, 64),
        'no size': data.replace(frame, b''),
        'no scan': data[:scan] + b'\xff\xd9',
        'no end': data[:-2],
        'only an end': b'\xff\xd8\xff\xd9',
        'only a beginning': b'\xff\xd8\xff',
        'segment of length 0': data[:2] + b'\xff\xe0\0\0' + data[2:],
        'segment of length 1': data[:2] + b'\xff\xe0\0\1' + data[2:],
        'segment beyond the end': data[:2] + b'\xff\xe0\xff\xff',
        '12 bits': jpeg(sof(64, 64, bits=12)),
        '2 components': data.replace(frame, sof(64, 64, components=2)),
        '255 components': data.replace(frame, sof(64, 64, components=255)),
        'no component': data.replace(frame, sof(64, 64, components=0)),
        'sampling 0': data.replace(frame, sof(64, 64, sampling=0)),
        'sampling 15': data.replace(frame, sof(64, 64, sampling=0xFF)),
        'length of another frame': data.replace(frame, segment(0xC0, frame[4:] + b'\0')),
        'lossless': data.replace(frame, sof(64, 64, 0xC3)),
        'arithmetic': data.replace(frame, sof(64, 64, 0xC9)),
        'hierarchical': data.replace(frame, sof(64, 64, 0xC5)),
        'reserved marker': jpeg(segment(0x02)),
        'marker of JPEG-LS': jpeg(segment(0xF7, bytes(9))),
        'many scans': progressive[:-2] + progressive[last:-2] * 200 + b'\xff\xd9',
        'many scans of one': data[:-2] + data[scan:-2] * 9 + b'\xff\xd9',
        'many segments': jpeg(segment(0xFE) * 5000),
    }.items()


def tiff(order='<', big=False, following=0, **entries):
    """Return a TIFF of one strip; entries by tag (t256=...): a number, a list, or (type, count, value)."""
    wide, count = ('Q', 'Q') if big else ('I', 'H')
    pixels = ramp().tobytes()
    tags = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 273: 16, 277: 1, 278: 64, 279: len(pixels)}
    tags |= {int(name[1:]): value for name, value in entries.items()}
    begin = 16 + len(pixels)
    magic = {'<': b'II', '>': b'MM'}[order] + struct.pack(order + 'H', 43 if big else 42)
    data = magic + (struct.pack(order + 'HHQ', 8, 0, begin) if big else struct.pack(order + 'I', begin))
    data = data.ljust(16, b'\0') + pixels
    table, behind = b'', b''
    kept = {tag: value for tag, value in sorted(tags.items()) if value is not None}
    end = begin + struct.calcsize(order + count) + len(kept) * (20 if big else 12) + (8 if big else 4)
    for tag, value in kept.items():
        if isinstance(value, tuple):
            kind, number, inside = value
        elif isinstance(value, list):
            kind, number, inside = 4, len(value), end + len(behind)
            behind += struct.pack(f'{order}{len(value)}I', *value)
        else:
            kind, number, inside = 4, 1, value
        table += struct.pack(f'{order}HH{wide}', tag, kind, number)
        table += struct.pack(order + 'I', inside).ljust(8, b'\0') if big else struct.pack(order + 'I', inside)
    return (
        data + struct.pack(order + count, len(kept)) + table + struct.pack(order + wide, following) + behind
    )


def tiffs():
    tile = {'t273': None, 't278': None, 't279': None, 't324': 16, 't325': 4096}
    directory = 16 + 64 * 64
    yield from {
        'pages in a circle': tiff(following=directory),
        'next page outside': tiff(following=2**31),
        'next page in the pixels': tiff(following=17),
        'large, one strip': tiff(t256=30000, t257=30000),
        'large, no rows': tiff(t256=30000, t257=30000, t278=None),
        'large, deflate': tiff(t256=30000, t257=30000, t259=8),
        'large, LZW': tiff(t256=30000, t257=30000, t259=5),
        'large, packed bits': tiff(t256=30000, t257=30000, t259=32773),
        'size of 32 bits': tiff(t256=2**32 - 1, t257=2**32 - 1),
        'size 0': tiff(t256=0),
        'no width': tiff(t256=None),
        'no strips': tiff(t273=None),
        'no lengths of strips': tiff(t279=None),
        'width of two values': tiff(t256=[64, 64]),
        'width as a text': tiff(t256=(2, 1, 64)),
        'width as a float': tiff(t256=(11, 1, 0x42800000)),
        'rows of a strip': tiff(t278=2**31 - 1),
        'rows of a strip, less': tiff(t278=1_000_000),
        'rows of a strip 0': tiff(t278=0),
        'one row of a strip': tiff(t278=1),
        'strips as many as can be': tiff(t273=(4, 2**32 - 1, 16)),
        'strips a million': tiff(t273=(4, 1_000_000, 16), t279=(4, 1_000_000, 16)),
        'strip outside': tiff(t273=2**31),
        'strip longer than the file': tiff(t279=2**32 - 1),
        'strip and length that wrap': tiff(t273=2**32 - 16, t279=32),
        'tiles of 1 GB': tiff(**tile, t322=32768, t323=32768),
        'tiles of 16 MB': tiff(**tile, t322=4096, t323=4096),
        'tiles of width 0': tiff(**tile, t322=0, t323=64),
        'tiles without a height': tiff(**tile, t322=64),
        'tiles without places': tiff(**{**tile, 't324': None}, t322=64, t323=64),
        'tiles and strips': tiff(t322=64, t323=64),
        'channels 65535': tiff(t277=65535),
        'channels 0': tiff(t277=0),
        '7 bits': tiff(t258=7),
        '65535 bits': tiff(t258=65535),
        'bits of several kinds': tiff(t258=[8, 16, 8, 8], t277=4),
        'JPEG inside': tiff(t259=7),
        'old JPEG inside': tiff(t259=6),
        'fax inside': tiff(t259=4),
        'unknown compression': tiff(t259=4242),
        'a text outside': tiff(t270=(2, 2**31, 8)),
        'a text that wraps': tiff(t270=(12, 2**29 + 1, 8)),
        'a directory outside': b'II*\0' + struct.pack('<I', 2**31) + bytes(99),
        'a directory of nothing': b'II*\0' + struct.pack('<I', 8) + bytes(99),
        'a directory of 65535': b'II*\0' + struct.pack('<I', 8) + b'\xff\xff' + bytes(99),
        'a directory twice': b'MM\0*' + struct.pack('>I', 8) + struct.pack('>HHHII', 2, 256, 4, 1, 9) * 2,
        'BigTIFF, large': tiff(big=True, t256=30000, t257=30000),
        'BigTIFF in a circle': tiff('>', big=True, following=directory),
        'BigTIFF, next page outside': tiff(big=True, following=2**63 - 1),
        'BigTIFF of 4 bytes': b'II+\0\4\0\0\0' + bytes(99),
        'BigTIFF outside': b'II+\0\x08\0\0\0' + b'\xff' * 8 + bytes(99),
        'only the signature': b'II*\0',
    }.items()


def riff(*chunks, length=None):
    body = b'WEBP' + b''.join(chunks)
    return b'RIFF' + struct.pack('<I', len(body) if length is None else length) + body


def part(kind, content, length=None):
    length = len(content) if length is None else length
    return kind + struct.pack('<I', length) + content + b'\0' * (len(content) % 2)


def vp8x(width, height, flags=0):
    return part(
        b'VP8X',
        bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, 'little') + (height - 1).to_bytes(3, 'little'),
    )


def webps():
    lossy = encoded('.webp', None, cv2.IMWRITE_WEBP_QUALITY, 50)
    lossless = encoded('.webp', None, cv2.IMWRITE_WEBP_QUALITY, 101)
    image = lossy[12:]
    huge = part(b'VP8L', b'\x2f' + (16382 | 16382 << 14).to_bytes(4, 'little') + bytes(20))
    yield from {
        'canvas of another size': riff(vp8x(16000, 16000), image),
        'canvas of 24 bits': riff(vp8x(2**24, 2**24), image),
        'canvas behind the image': riff(image, vp8x(64, 64)),
        'two canvases': riff(vp8x(64, 64), vp8x(16000, 16000), image),
        'two images': riff(vp8x(64, 64), image, huge),
        'an image behind the image': riff(image, huge),
        'animation': riff(vp8x(64, 64, 2), image),
        'frames of an animation': riff(vp8x(64, 64), part(b'ANMF', bytes(24)), image),
        'no image': riff(vp8x(64, 64)),
        'large, lossless': riff(huge),
        'large, lossy': lossy.replace(b'\x9d\x01\x2a\x40\0\x40\0', b'\x9d\x01\x2a\xff\x3f\xff\x3f'),
        'no key frame': lossy[:20] + bytes([lossy[20] | 1]) + lossy[21:],
        'no start code': lossy.replace(b'\x9d\x01\x2a', b'\0\0\0'),
        'width 0': lossy.replace(b'\x9d\x01\x2a\x40\0', b'\x9d\x01\x2a\0\0'),
        'first partition': lossy[:21] + b'\xff\xff' + lossy[23:],
        'no signature': lossless[:20] + b'\x2e' + lossless[21:],
        'length of 4 GB': riff(image, length=2**32 - 1),
        'length 0': riff(image, length=0),
        'chunk of 4 GB': riff(part(b'VP8 ', image[8:], 2**32 - 1)),
        'cut short': lossy[: len(lossy) // 2],
        'only the head': b'RIFF\x04\0\0\0WEBP',
        'chunks of nothing': riff(part(b'EXIF', b'') * 2000, image),
    }.items()


def bmps():
    data = encoded('.bmp')

    def changed(place, code, *values):
        return data[:place] + struct.pack(code, *values) + data[place + struct.calcsize(code) :]

    yield from {
        'large': changed(18, '<ii', *HUGE),
        'large, rows down': changed(18, '<ii', 30000, -30000),
        'lowest number': changed(18, '<ii', 64, -(2**31)),
        'largest number': changed(18, '<ii', 2**31 - 1, 2**31 - 1),
        'width 0': changed(18, '<ii', 0, 64),
        'width below 0': changed(18, '<ii', -64, 64),
        'run lengths': changed(28, '<HI', 8, 1),
        'a PNG inside': changed(28, '<HI', 0, 5),
        '2 planes': changed(26, '<H', 2),
        '9 bits': changed(28, '<H', 9),
        'pixels outside': changed(10, '<I', 2**32 - 1),
        'header of 4 GB': changed(14, '<I', 2**32 - 1),
        'header of 13 bytes': changed(14, '<I', 13),
        'cut short': data[:-1],
        'only a header': data[:54],
        'only the signature': b'BM',
        'OS/2, large': b'BM' + bytes(8) + struct.pack('<IIHHHH', 26, 12, 65535, 65535, 1, 24) + bytes(99),
    }.items()


def pnms():
    yield from {
        'large': b'P5 30000 30000 255\n' + bytes(99),
        'large, colour': b'P6 30000 30000 65535\n' + bytes(99),
        'large, text': b'P2 30000 30000 255\n1 2 3',
        'large, colour text': b'P3 30000 30000 255\n1 2 3',
        'large, bits': b'P4 30000 30000\n' + bytes(99),
        'large, bits as text': b'P1 30000 30000\n1 0 1',
        'many digits': b'P5 ' + b'9' * 1000 + b' 1 255\n' + bytes(99),
        'wraps': b'P5 4294967296 1 255\n' + bytes(99),
        'below 0': b'P5 -64 -64 255\n' + bytes(99),
        'size 0': b'P5 0 0 255\n',
        'limit 0': b'P5 8 8 0\n' + bytes(99),
        'limit 65536': b'P5 8 8 65536\n' + bytes(200),
        'no limit': b'P5 8 8',
        'a comment without an end': b'P5 #' + b'x' * 5000,
        'many comments': b'P5 ' + b'#\n' * 50000,
        'a size in a comment': b'P5 #\r30000 30000 255\r64 64 255\n'.replace(b'#\r', b'#x\r') + bytes(9),
        'one byte too few': b'P5 64 64 255\n' + bytes(4095),
        'only the signature': b'P5',
    }.items()


def others():
    """Formats that decoders know and that are not read."""
    yield from {
        'GIF': encoded('.gif', ramp(64, 64, 3)),
        'GIF, large': b'GIF89a' + struct.pack('<HH', 65535, 65535) + bytes(99),
        'JPEG 2000': encoded('.jp2'),
        'JPEG 2000, code stream': b'\xff\x4f\xff\x51' + b'\xff' * 99,
        'JPEG XL': b'\xff\x0a' + bytes(99),
        'AVIF': b'\0\0\0\x1cftypavif' + bytes(99),
        'HEIF': b'\0\0\0\x1cftypheic' + bytes(99),
        'OpenEXR': b'\x76\x2f\x31\x01' + bytes(99),
        'Radiance HDR': b'#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30000 +X 30000\n',
        'PAM': b'P7\nWIDTH 30000\nHEIGHT 30000\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n',
        'PFM': b'PF\n30000 30000\n-1.0\n',
        'Sun raster': b'\x59\xa6\x6a\x95' + struct.pack('>IIIIIII', 30000, 30000, 24, 0, 1, 0, 0),
        'a film': b'RIFF' + struct.pack('<I', 99) + b'AVI LIST' + bytes(99),
        'nothing': b'\0',
        'text': b'not an image',
        'a page': b'<svg width="30000" height="30000"/>',
    }.items()


def all():
    """Return all of them by format and name."""
    kinds = {
        'PNG': pngs,
        'JPEG': jpegs,
        'TIFF': tiffs,
        'WebP': webps,
        'BMP': bmps,
        'PNM': pnms,
        'other': others,
    }
    return {f'{kind}: {name}': data for kind, made in kinds.items() for name, data in made()}
