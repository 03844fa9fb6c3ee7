"""C → B: any vendor's mammogram decoded, put in the standard's gray scale, oriented, cropped and measured."""
